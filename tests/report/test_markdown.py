"""Results as Markdown: parts of J, the ceiling, and how much of the way to it each arm went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sepo.errors import InputError
from sepo.report.markdown import card, gains, markdown, overview
from sepo.report.read import Summary, read_summaries


def figure(value: float, half: float = 0.0, n: int = 5) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def arm(name: str, j: float, half: float = 0.0) -> dict[str, Any]:
    last = {"paper.J": figure(j, half), "sepo.J": figure(j - 1), "paper.u": figure(2.0), "paper.e": figure(0.5)}
    return {"name": name, "last": last, "best": {"paper.J": figure(j + 0.1)}}


def summary(document: dict[str, Any]) -> Summary:
    return Summary.model_validate({"schema": "sepo.run/1", "name": "run", "game": "kuhn"} | document)


DOCUMENT: dict[str, Any] = {
    "measures": "paper",
    "arms": [arm("base", -1.0), arm("sepo", 0.5, 0.25)],
    "ceilings": {"paper": {"J": 1.0, "bound": 1.0}},
}
SUMMARY = summary(DOCUMENT)


def test_without_exploitability_j_comes_first_with_its_parts_and_the_ceiling_last():
    head, _, base, sepo, top = markdown(SUMMARY).splitlines()
    assert head == "| arm | J (`paper`) | u | e | J (`sepo`) | of the way | J (`paper`), best step |"
    assert base == "| `base` | -1.0000 | 2.0000 | 0.5000 | -2.0000 | 0% | -0.9000 |"
    assert sepo == "| `sepo` | 0.5000 [0.2500, 0.7500] | 2.0000 | 0.5000 | -0.5000 | 75% | 0.6000 |"
    assert top == "| ceiling | 1.0000 |  |  |  | 100% |  |"


def test_where_no_ceiling_is_known_none_is_shown():
    lines = markdown(summary(DOCUMENT | {"ceilings": {}})).splitlines()
    assert "of the way" not in lines[0]
    assert len(lines) == 4


def test_where_no_best_step_was_audited_there_is_no_column_for_it():
    with_ = markdown(SUMMARY).splitlines()
    without = markdown(summary(DOCUMENT | {"arms": [a | {"best": {}} for a in DOCUMENT["arms"]]})).splitlines()
    for long, short in zip(with_, without, strict=True):
        assert short == long.rsplit(" |", 2)[0] + " |"


def test_one_seed_stands_with_the_bounds_of_its_audit():
    found = {"value": -0.25, "low": -1.75, "high": 1.5, "n": 1}
    rows = [{"arm": "base", "figure": "paper.J", "mean": -1.0, "interval": [-2.0, 0.5], "n": 1}]
    run = DOCUMENT | {"arms": [arm("base", -1.0), {"name": "sepo", "last": {"paper.J": found}}]}
    text = markdown(summary(run | {"paired": {"minus": "sepo", "rows": rows}}))
    assert "| `sepo` | -0.2500 [-1.7500, 1.5000] |" in text
    assert text.endswith("| `base` | -1.0000 [-2.0000, 0.5000] |\n")


def test_figures_by_other_rules_than_the_runs_are_named_with_them():
    run = DOCUMENT | {"game": "auction", "rules": {"rounds": 6, "overbid_loss": False}}
    note = "\nBy other rules, overbid_loss True: J (`sepo`).\n"
    assert markdown(summary(run)).endswith(note)  # as of runs that did not say so themselves
    told = {"sepo": {"rounds": 6, "overbid_loss": "<b>"}}
    assert markdown(summary(run | {"rules_by_measures": told})).endswith(note.replace("True", "&#60;b&#62;"))
    assert "other rules" not in markdown(summary(run | {"rules_by_measures": {}}))


def test_an_overview_sets_the_arm_that_came_furthest_beside_ceiling_and_published_figures():
    rows = [
        {"arm": "base", "J": 9.0, "lambda": [1, 2, 3]},
        {"arm": "sepo@5", "J": -0.5, "lambda": [2.4, 1.0, 0]},
        {"arm": "sepo@9", "J": 0.25, "lambda": [1.2, 1.0, 1.8]},
    ]
    run = DOCUMENT | {
        "seeds": [1, 2],
        "published": rows,
        "arms": [arm("sft", 0.1), *DOCUMENT["arms"], arm("paper", 0.2)],
    }
    other = run | {"measures": "sepo", "ceilings": {}}
    head, _, first, second = overview({"mine": summary(run), "other": summary(other)}).splitlines()
    assert head.count("|") == first.count("|") == second.count("|")
    assert first == (
        "| `mine` | J (`paper`) | 2 | -1.0000 | 0.1000 | `sepo` 0.5000 [0.2500, 0.7500] | 1.0000 | 75.0% "
        "| 0.25 (1.2, 1, 1.8) |"
    )
    assert second == "| `other` | J (`sepo`) | 2 | -2.0000 | -0.9000 | `sepo` -0.5000 | n/a | n/a | n/a |"


def test_in_an_overview_less_exploitability_is_better():
    arms = [
        {"name": name, "last": {"exploitability": figure(value), "sepo.J": figure(0.0)}}
        for name, value in (("base", 0.4), ("reward_only", 0.3), ("sepo", 0.1))
    ]
    published = [{"arm": "sepo@1", "exploitability": e, "J": 0, "lambda": [1, 1, 0]} for e in (0.3, 0.2)]
    run = {"measures": "sepo", "seeds": [0], "arms": arms, "published": published}
    row = overview({"kuhn": summary(run)}).splitlines()[2]
    assert row == "| `kuhn` | exploitability | 1 | 0.4000 | n/a | `sepo` 0.1000 | 0.0000 | 75.0% | 0.2 |"


def test_paired_differences_are_a_second_table():
    rows = [
        {"arm": "base", "figure": "paper.e", "mean": 0.5, "interval": [0.4, 0.6], "n": 3},
        {"arm": "base", "figure": "paper.J", "mean": -1.0, "interval": None, "n": 1},
        {"arm": "sft", "figure": "paper.e", "mean": 0.25, "interval": [0.25, 0.25], "n": 3},
    ]
    first, second = markdown(summary(DOCUMENT | {"paired": {"minus": "sepo", "rows": rows}})).split("\n\n")
    assert first + "\n" == markdown(SUMMARY)
    assert second.splitlines() == [
        "| minus `sepo`, paired by seed | e (`paper`) | J (`paper`) |",
        "| --- | ---: | ---: |",
        "| `base` | 0.5000 [0.4000, 0.6000] | -1.0000 |",
        "| `sft` | 0.2500 | n/a |",
    ]


def test_gains_are_shares_of_another_runs_paired_by_seed():
    def run(game: str, arms: dict[str, list[float]], seeds: list[int], **rules: int) -> Summary:
        rows = []
        for name, values in arms.items():
            last = {"paper.J": figure(sum(values) / len(values), n=len(values)) | {"seeds": values}}
            rows.append({"name": name, "stage": "train" if name == "sepo" else name, "seeds": seeds, "last": last})
        return summary({"game": game, "rules": rules, "measures": "paper", "seeds": seeds, "arms": rows})

    single = {
        "other": run("kuhn", {"sepo": [9.0, 9.0]}, [0, 1]),
        "longer": run("ipd", {"base": [-2.0, -2.0], "sepo": [8.0, 8.0]}, [0, 1], rounds=12),
        "ipd": run("ipd", {"base": [-1.0, -1.0, -1.0], "sepo": [1.0, 3.0, 7.0]}, [0, 1, 2]),
    }
    joint = {"ipd": run("ipd", {"sepo": [2.0, 0.8]}, [1, 0]), "split": run("split", {"sepo": [1.0, 1.0]}, [0, 1])}
    head, _, row = gains(joint, single).splitlines()
    assert head.count("|") == row.count("|")
    low, high = 0.825 - 12.7062 * 0.075, 0.825 + 12.7062 * 0.075  # shares 3/4 and .9 of two seeds: t of one degree
    share = f"82.5% [{low:.1%}, {high:.1%}]"
    assert row == f"| `ipd` | J (`paper`) | -1.0000 | `sepo` 1.4000 | `ipd@sepo` 3.6667 | {share} | 2 |"


def test_the_run_beside_is_of_the_same_model_and_of_several_the_one_of_the_same_name():
    def run(name: str, j: float, model: str = "small") -> Summary:
        arms = [
            {"name": n, "stage": s, "last": {"paper.J": figure(v)}}
            for n, s, v in (("base", "base", 0), ("b", "train", j))
        ]
        return summary({"name": name, "measures": "paper", "model": model, "arms": arms})

    def beside(**runs: Summary) -> str:
        return gains({"mine": run("recipe", 9)}, runs).splitlines()[-1].split(" | ")[4]

    large, first, second = run("recipe", 5, "large"), run("other", 1), run("recipe", 2)
    assert beside(a=large, b=first) == "`b@b` 1.0000"
    assert beside(a=first, b=second) == "`b@b` 2.0000"
    assert beside(a=second, mine=first) == "`mine@b` 1.0000"
    with pytest.raises(InputError, match="several runs could stand beside 'mine': a, b;"):
        beside(a=first, b=run("third", 3))
    with pytest.raises(
        InputError, match="no run to set beside mine: none is of the same game, rules, measures and model"
    ):
        beside(a=large)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "schema must be 'sepo.run/1', not None"),
        ([], "must hold a JSON object"),
        ({"schema": "sepo.run/1", "name": "mine", "game": "kuhn"}, "key 'arms'"),
        (DOCUMENT | {"schema": "sepo.run/1", "name": "mine", "game": "kuhn", "paired": {"rows": [{}]}}, "key 'paired."),
    ],
)
def test_a_summary_that_is_none_is_refused_with_its_place(tmp_path: Path, document: Any, said: str):
    file = tmp_path / "mine" / "summary.json"
    file.parent.mkdir()
    file.write_text(json.dumps(document))
    with pytest.raises(InputError) as refusal:
        read_summaries(tmp_path)
    assert str(file) in str(refusal.value)
    assert said in str(refusal.value)


def test_a_scorecard_shows_what_it_has_and_how_it_was_found():
    whole = {"value": 1.0, "low": 0.5, "high": 1.5, "n": 32}
    measures = {"sepo": {"J": whole}, "paper": {"J": None, "u": {"value": 2.0, "low": 2.0, "high": 2.0, "n": None}}}
    parts = {
        "items": {"method": "sampled", "robustness": whole, "measures": measures},
        "ipd": {
            "method": "bounded",
            "states": {"asked": 3000, "reachable": 21845},
            "legal_mass": whole | {"high": None},
            "measures": {"paper": {"J": whole | {"low": None}, "c": whole | {"low": None, "high": None}}},
        },
        "kuhn": {},
        "split": {"method": "bounded", "states": {"asked": "many"}},
    }
    assert card({"games": parts}).splitlines()[2:] == [
        "| `items` | sampled, 32 clusters | 1.000 [0.500, 1.500] | n/a | 2.000 | n/a | n/a | n/a | n/a | n/a |",
        "| `ipd` | bounded: 3,000 of 21,845 states asked "
        "| n/a | at most 1.500 | n/a | n/a | 1.000 [-inf, inf] | n/a | n/a | at least 0.500 |",
        "| `kuhn` | not recorded | n/a | n/a | n/a | n/a | n/a | n/a | n/a | n/a |",
        "| `split` | bounded | n/a | n/a | n/a | n/a | n/a | n/a | n/a | n/a |",
    ]


@pytest.mark.parametrize(("sets", "of"), [(("paper", "sepo"), "paper"), (("sepo",), "sepo"), (("paper",), "paper")])
def test_a_scorecards_columns_are_those_of_the_sets_that_it_has(sets: tuple[str, ...], of: str):
    rows = {name: dict.fromkeys("uecxJ", exact(i + 1.0)) for i, name in enumerate(sets)}
    head, _, row = card({"games": {"kuhn": {"method": "exact", "measures": rows}}}).splitlines()
    titles, cells = (line.strip("| ").split(" | ") for line in (head, row))
    worth = f"{sets.index(of) + 1:.3f}"
    found = dict(zip(titles, cells, strict=True))
    assert {f"{key} (`{of}`)": worth for key in "uecx"}.items() <= found.items()
    assert [title for title in titles if title.startswith("J ")] == [
        f"J (`{s}`)" for s in ("sepo", "paper") if s in sets
    ]


def test_several_scorecards_are_told_apart_by_policy():
    parts = [{"policy": name, "games": {"kuhn": {"method": "exact"}}} for name in ("a", "b")]
    head, _, first, second = card(*parts).splitlines()
    assert head.startswith("| policy | game | method |")
    assert first.startswith("| `a` | `kuhn` | exact |")
    assert second.startswith("| `b` | `kuhn` | exact |")
    assert head.count("|") == first.count("|")


def exact(value: float) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value, "n": None}
