"""``sepo audit --wordings`` and ``--horizons``, as their user calls them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sepo.display import number
from tests.cli.test_bad_input import refused
from tests.conftest import Finished

Program = Callable[..., Finished]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    from tests.models import tiny_model

    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEPO_CACHE", str(folder / "cache"))
        yield tiny_model(folder / "a", seed=0), tiny_model(folder / "b", seed=1)


@pytest.mark.no_cover
def test_a_models_wordings_are_a_scorecard_each_and_the_share_that_is_wording(sepo: Program, tiny, tmp_path: Path):
    out = tmp_path / "card.json"
    arguments = ("audit", *tiny, "--game", "kuhn", "--wordings", "all", "--measures", "sepo")
    done = sepo(*arguments, "--json", "--out", out)
    assert done.code == 0, done.err
    document = done.document
    assert out.read_text() == done.out
    names = ["original", "paraphrase-1", "paraphrase-2", "paraphrase-3", "renamed", "swapped"]
    assert document["schema"] == "sepo.variations/1"
    assert [(c["policy"], c["wording"]) for c in document["scorecards"]] == [(p, w) for p in tiny for w in names]
    assert {c["schema"] for c in document["scorecards"]} == {"sepo.scorecard/1"}
    (spread,) = document["spread"]
    assert (spread["game"], spread["wordings"], spread["policies"]) == ("kuhn", names, list(tiny))
    j = spread["figures"]["sepo.J"]
    assert j["sd_wording"] > 0
    assert 0 <= j["share_wording"] <= 1
    shown = sepo(*arguments)  # from the answers that were kept
    assert shown.code == 0
    for text in ("paraphrase-3", "renamed", "worst case", "legal mass", "wording", "6 wordings, 2 policies"):
        assert text in shown.out
    for card in document["scorecards"]:  # at 80 columns, however long the policies' names
        figures = card["games"]["kuhn"]["measures"]["sepo"]
        assert {number(figures[name]["value"]) for name in ("J", "u", "e")} <= set(shown.out.split())
        assert f"{card['policy']}:kuhn(chipsperhand,exact)" in "".join(shown.out.split())
    plain = sepo("audit", tiny[0], "--game", "kuhn", "--measures", "sepo", "--json").document
    assert plain["games"] == document["scorecards"][0]["games"]


@pytest.mark.no_cover
def test_named_wordings_keep_their_order_and_meet_horizons(sepo: Program, tiny):
    done = sepo(
        "audit",
        tiny[0],
        "-g",
        "ipd",
        "--wordings",
        "swapped, original",
        "--horizons",
        "2,1",
        "--measures",
        "sepo",
        "--no-adversaries",
        "--json",
    )
    assert done.code == 0, done.err
    cards = done.document["scorecards"]
    found = [(c["horizon"], c["wording"], c["games"]["ipd"]["rules"]["rounds"]) for c in cards]
    assert found == [(n, w, n) for n in (2, 1) for w in ("swapped", "original")]
    assert [s["horizon"] for s in done.document["spread"]] == [2, 1]
    assert done.document["spread"][0]["figures"]["sepo.J"]["share_wording"] is None


@pytest.mark.no_cover
def test_what_a_game_has_no_wording_of_is_said(sepo: Program, tiny):
    done = sepo("audit", tiny[0], "--game", "split", "--rule", "rounds=1", "--wordings", "all", "--measures", "sepo")
    assert done.code == 0
    assert "sepo: game 'split' has no wording renamed: its actions are numbers\n" in done.err
    assert "swapped" in done.out


@pytest.mark.no_cover
def test_scripts_are_audited_at_other_horizons_and_figures_are_those_of_the_rule(sepo: Program):
    done = sepo("audit", "script:tit_for_tat", "--horizons", "4,12", "--game", "ipd", "--json")
    assert done.code == 0
    for card, n in zip(done.document["scorecards"], (4, 12), strict=True):
        alone = sepo("audit", "script:tit_for_tat", "--game", "ipd", "--rule", f"rounds={n}", "--json").document
        assert {k: v for k, v in card.items() if k != "horizon"} == alone
    shown = sepo("audit", "script:tit_for_tat", "--horizons", "4,12", "--game", "ipd", "--measures", "sepo").out
    assert "1.5906" in shown
    assert "rounds" in shown


@pytest.mark.no_cover
def test_of_all_games_those_without_rounds_are_left_out_and_named(sepo: Program):
    done = sepo("audit", "uniform", "--horizons", "1", "--measures", "sepo", "--json", "--rule", "instances=2")
    refused(done, "unknown rule 'instances'")
    done = sepo("audit", "script:high_then_low", "--horizons", "2", "--measures", "sepo", "--json")
    assert list(done.document["scorecards"][0]["games"]) == ["commons"]
    refused(sepo("audit", "script:nash", "--horizons", "2"), "--horizons sets the rule 'rounds'", "game 'kuhn'")


def test_a_table_is_of_one_horizon(sepo: Program, tmp_path: Path):
    path = tmp_path / "t.json"
    rule = ("--rule", "rounds=2")
    assert sepo("elicit", "script:tit_for_tat", "--game", "ipd", *rule, "--out", path).code == 0
    refused(sepo("audit", f"table:{path}", "--horizons", "2,4"), "is for 2 rounds and says nothing of 4")
    done = sepo("audit", f"table:{path}", "--horizons", "2", "--json")
    assert done.document["scorecards"][0]["games"]["ipd"]["rules"] == {"rounds": 2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("script:tit_for_tat", "--game", "ipd", "--wordings", "all"), ("for language models", "'script:tit_for_tat'")),
        (("uniform", "--game", "ipd", "--wordings", "renamed"), ("for language models", "'uniform'")),
        (("human", "--game", "ipd", "--wordings", "all"), ("for language models", "'human'")),
        (("uniform", "--game", "kuhn", "--horizons", "4"), ("game 'kuhn' has no such rule",)),
        (("uniform", "--game", "ipd", "--horizons", "4,x"), ("such as 4,8,12", "'4,x'")),
        (("uniform", "--game", "ipd", "--horizons", "-4"), ("such as 4,8,12", "'-4'")),
        (("uniform", "--game", "ipd", "--horizons", "4,,8"), ("--horizons takes names", "'4,,8'")),
        (("uniform", "--game", "ipd", "--horizons", "4,4"), ("one thing twice",)),
        (("uniform", "--game", "ipd", "--horizons", ""), ("--horizons takes names",)),
        (("uniform", "--game", "ipd", "--horizons", "0"), ("from 1 to 12, not 0",)),
        (("uniform", "--game", "ipd", "--horizons", "4,13"), ("from 1 to 12, not 13",)),
        (("uniform", "--game", "ipd", "--horizons", "4", "--rule", "rounds=2"), ("leave out --rule",)),
        (("uniform", "--game", "ipd", "--wordings", "renamed,renamed"), ("one thing twice",)),
        (("uniform", "--game", "chess", "--horizons", "4"), ("unknown game 'chess'",)),
    ],
)
def test_bad_input_is_one_line(sepo: Program, arguments: tuple[str, ...], said: tuple[str, ...]):
    refused(sepo("audit", *arguments), *said)


def test_a_wording_that_a_game_does_not_have_is_refused_before_anything_is_asked(sepo: Program, tiny):
    refused(sepo("audit", tiny[1], "--game", "kuhn", "--wordings", "original,rhymed"), "'rhymed'", "paraphrase-1")
    said = ("game 'items' has no wording 'swapped' (its actions are numbers)",)
    refused(sepo("audit", tiny[1], "--game", "items", "--wordings", "swapped"), *said)
