"""Results as data frames and as tables in a notebook, whatever their names hold."""

from __future__ import annotations

import io
import re
import sys
import tomllib
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas
import pytest
from rich.console import Console

from sepo import api
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.policies.table import PolicyTable
from sepo.printable import printable
from tests.browser import chromium, visit
from tests.conftest import SOURCE
from tests.report.made_run import made_run

HOSTILE = "<script>document.title='had'</script>\x1b[31m\u202egnp.\u2066<img src=x onerror=\"document.title='had'\">"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> api.Run:
    folder = tmp_path_factory.mktemp("run")
    made_run(folder)
    return api.load_run(folder)


def results(name: str, run: api.Run) -> list[object]:
    """Return one result of every kind, about a policy of this name."""
    policy = api.load_policy(lambda d: d.legal[0], name=name)
    card = api.audit(policy, "kuhn")
    rows = {key: {f"{name}{a}": p for a, p in row.items()} for key, row in api.elicit(policy, "kuhn").table.items()}
    return [
        card,
        PolicyTable(name, "kuhn", {}, {f"{name}{key}": row for key, row in rows.items()}),
        api.compare(card, card),
        api.match([policy, "uniform"], "kuhn"),
        api.play(policy, policy, "kuhn", episodes=12),
        api.solve("kuhn"),
        run,
    ]


def frames(found: object) -> list[str]:
    names = ("frame", "opponents", "moves", "ratings", "metrics")
    return [name for name in names if callable(getattr(found, name, None))]


def cells(frame: Any) -> list[tuple[object, ...]]:
    """Return the rows of a pandas frame, None where a cell is missing."""
    return [tuple(None if pandas.isna(v) else v for v in row) for row in frame.astype(object).values.tolist()]


def test_frames_of_pandas_and_polars_say_the_same(run):
    for found in results("plain", run):
        for name in frames(found):
            one, other = getattr(found, name)("pandas"), getattr(found, name)("polars")
            assert type(one).__module__.startswith("pandas")
            assert type(other).__module__.startswith("polars")
            assert list(one.columns) == other.columns
            assert len(one) == len(other) > 0
            assert cells(one) == other.rows()


def test_a_scorecards_frame_has_every_figure_that_applies():
    card = api.audit("script:nash", "kuhn")
    frame = card.frame().set_index(["measures", "figure"])
    part = card.games["kuhn"]
    for of in ("paper", "sepo"):
        for name in ("u", "e", "c", "x", "J"):
            found = part["measures"][of][name]
            assert ((of, name) in frame.index) == (found is not None)
            if found is not None:
                assert frame.loc[(of, name), "value"] == found["value"] == card.figure("kuhn", f"{of}.{name}").value
    assert frame.loc[("sepo", "held_out"), "value"] == part["held_out"]["value"]
    assert card.figure("kuhn", "welfare") is None
    assert set(frame["method"]) == {"exact"}
    assert frame["n"].isna().all()
    sampled = api.audit("script:nash", "kuhn", method="sampled", episodes=50, measures="sepo").frame()
    assert set(sampled[sampled["figure"].isin(["u", "held_out"])]["n"]) == {50}


def test_a_runs_frames_are_its_files(run):
    figures = run.frame().set_index(["arm", "at", "figure"])
    last = {arm["name"]: arm["last"] for arm in run.summary["arms"]}
    assert figures.loc[("sepo", "last", "sepo.J"), "value"] == last["sepo"]["sepo.J"]["value"]
    assert figures.loc[("sepo", "last", "sepo.J"), "n"] == 2
    metrics = run.metrics().set_index(["arm", "seed", "step", "figure"])["value"].sort_index()
    assert set(metrics.index.unique("step")) == {0, 1, 2, 3}
    final = api.audit(run.policy("sepo", 1), "kuhn", adversaries=False).figure("kuhn", "sepo.J").value
    assert metrics[("sepo", 1, 3, "measures.sepo.J")] == pytest.approx(final)
    assert run.policy("sepo", 1).name == "sepo, seed 1 (last)"
    assert run.policy("sepo").table == run.policy("sepo", 0, "best").table


def test_a_run_alone_is_compared_arm_by_arm_and_two_runs_by_their_trained_arms(run):
    found = api.compare(run)
    assert (found.document["before"], found.document["after"]) == ("made, sft", "made, sepo")
    frame = found.frame().set_index("figure")
    assert frame.loc["exploitability", "reading"] == "better"
    assert frame.loc["exploitability", "pairing"] == "paired by seed"
    assert found.said[0].startswith("exploitability: made, sepo is less exploitable than made, sft, by ")
    assert api.compare(run, f"{run.folder}@sft").document["after"] == "made, sft"
    assert any(
        "an arm over its seeds beside one policy" in said
        for said in api.compare(run, api.audit("uniform", "kuhn")).caveats
    )
    with pytest.raises(InputError, match="there is nothing to compare with"):
        api.compare(api.audit("uniform", "kuhn"))


BASE = {"name": "x", "game": "kuhn", "arms": [{"name": "base", "stage": "base"}]}


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda run: run.policy("nobody"), "run 'made' has no arm 'nobody': it has sft, sepo"),
        (lambda run: run.policy("sepo", 9), "has no seed 9: it has 0, 1"),
        (lambda run: run.scorecard("sepo", at="first"), "no scorecard at "),
        (lambda run: api.load_run(run.folder / "arms"), "has no summary.json"),
        (lambda run: api.train({"games": ["a.yaml"], "name": "x"}), "is of several games"),
        (lambda run: api.train({"name": "x", "game": "kuhn", "arms": [], "seads": [1]}), "unknown key 'seads'|arms"),
        (
            lambda run: api.train({"name": "x", "game": "kuhn"}, settings={"name.a": 1}),
            "'name' holds a value, not keys",
        ),
        (lambda run: api.train("nowhere.yaml"), "no recipe at 'nowhere.yaml'"),
        (lambda run: api.train(BASE, resume="no"), "resume must be True or False, not 'no'"),
        (lambda run: api.train(BASE, workers=0), "workers must be a whole number of at least 1, not 0"),
        (lambda run: api.train(3), "a file or folder is text or a path, not int"),
        (lambda run: api.train({"name": "x"}, settings={"seeds": {1}}), "^setting seeds takes text, .*: not set$"),
        (lambda run: api.train({"name": "x", "seeds": [object()]}), "^the recipe takes text, .*: not object$"),
        (lambda run: api.train({"name": "x", ("a", 1): 1}), "^the recipe takes text, .*: keys must be"),
        (lambda run: api.train(round_about()), "^the recipe takes text, .*: Circular reference"),
    ],
)
def test_what_a_run_lacks_is_said_in_one_line(run, ask, said):
    with pytest.raises(InputError, match=said) as error:
        ask(run)
    assert "\n" not in str(error.value)


def round_about():
    recipe: dict[str, Any] = {"name": "x"}
    recipe["sft"] = recipe
    return recipe


def test_a_recipe_may_hold_what_python_counts_and_names_files_with(monkeypatch, tmp_path):
    asked = {}

    def run(recipe, folder, tell, **options):
        asked.update(recipe=recipe, folder=folder, **options)

    monkeypatch.setattr("sepo.train.run.run", run)
    monkeypatch.setattr("sepo.api.runs.load_run", lambda folder: folder)
    recipe = {"name": "x", "game": "kuhn", "seeds": range(2), "arms": [{"name": "base", "stage": "base"}]}
    settings = {"sft.steps": np.int64(3), "sft.learning_rate": np.float32(0.5), "model.policy": tmp_path}
    settings |= {"model.layers": np.array([1, 2])[1], "sft.betas": np.array([0.5, 0.75])}
    options = {"settings": settings, "workers": np.int64(2), "resume": np.bool_(True)}
    assert api.train(MappingProxyType(recipe), tmp_path / "out", **options) == tmp_path / "out"
    assert [(type(asked[key]), asked[key]) for key in ("workers", "resume")] == [(int, 2), (bool, True)]
    made = asked["recipe"]
    assert (made.seeds, made.sft.steps, made.sft.learning_rate) == ([0, 1], 3, 0.5)
    assert (made.model.policy, made.model.layers, tuple(made.sft.betas)) == (str(tmp_path), 2, (0.5, 0.75))
    assert "sft.steps=3" in asked["command"]


def test_an_arm_whose_name_leads_elsewhere_reads_nothing(run, tmp_path):
    inside = api.Run(run.folder / "arms" / "sepo", {**run.summary, "arms": [{"name": "../../arms/sepo"}]})
    with pytest.raises(InputError, match="an arm cannot be called"):
        inside.policy("../../arms/sepo")


def test_the_report_is_that_of_the_room(run, tmp_path):
    assert api.report(run, tmp_path / "page.html") == tmp_path / "page.html"
    assert "<html" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_missing_library_is_named_with_its_extra(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(InputError, match=re.escape(f"{kind} is not installed: pip install 'sepo[frames]'")):
        api.elicit("uniform", "kuhn").frame(kind)


def test_the_extra_that_is_named_brings_both():
    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text())["project"]
    extra = " ".join(project["optional-dependencies"]["frames"])
    assert "pandas" in extra
    assert "polars" in extra


def test_names_are_text_in_every_representation(run):
    for found in results(HOSTILE, run):
        page = found._repr_html_()  # type: ignore[attr-defined]
        assert "<script" not in page
        assert "<img" not in page
        assert not set(page) & set("\x1b\u202e\u2066")
        assert not re.search(r"color|background|font", page)
        assert not set(repr(found)) & set("\x1b\u202e\u2066\n")
        assert len(repr(found)) < 600
    assert printable(HOSTILE).isprintable()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tables_are_harmless_and_readable_in_a_browser(run, tmp_path, scheme):
    body = "".join(found._repr_html_() for found in results(HOSTILE, run))  # type: ignore[attr-defined]
    head = '<title>kept</title><meta name="color-scheme" content="light dark">'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body><main><h1>Results</h1>{body}</main></body></html>'
    (tmp_path / "page.html").write_text(page)
    with chromium() as browser, visit(browser, "about:blank", color_scheme=scheme) as seen:
        seen.page.goto((tmp_path / "page.html").as_uri())
        assert seen.page.title() == "kept"
        assert seen.page.locator("table").count() == 7
        assert seen.page.locator("table td").count() > 100
        assert "\\u202e" in seen.page.locator("table").first.inner_text()
        assert seen.errors == []
        assert seen.beyond("file:", "about:") == []
        assert seen.faults() == []


def test_long_tables_are_cut_and_say_so():
    table = api.elicit("uniform", make("ipd", {"rounds": 4}))
    assert table._repr_html_().count("<tr>") == 41
    assert f"and {len(table.table) - 40} more information states" in table._repr_html_()
    assert repr(table) == f"PolicyTable('uniform', 'ipd', {len(table.table)} information states)"


def test_rich_shows_results_in_short(run):
    console = Console(record=True, width=100, file=io.StringIO())
    for found in (api.audit("script:nash", "kuhn"), api.elicit("uniform", "kuhn"), run):
        console.print(found)
    text = console.export_text()
    assert "exploitability 0.0000" in text
    assert "states=12" in text
    assert "arms=['sft', 'sepo']" in text


def test_a_scorecard_of_a_table_that_was_elicited_in_part_says_so():
    table = api.elicit("uniform", "ipd", rules={"rounds": 3}, budget=2)
    shown = api.audit(table, adversaries=False)._repr_html_()
    assert "elicited in 2 of 21 information states: the figures are the table" in shown
    assert "elicited" not in api.audit("script:nash", "kuhn", adversaries=False)._repr_html_()
