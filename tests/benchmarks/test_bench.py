"""``sepo bench`` from end to end, on the benchmark that takes no model; timings are not judged."""

import json
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sepo.cli import bench
from sepo.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(bench.command)
    return made


def test_exploitability_gives_a_document(app: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pyspiel")
    monkeypatch.chdir(ROOT)
    out = tmp_path / "bench.json"

    done = CliRunner().invoke(app, ["exploitability", "--json", "--repeats", "2", "--out", str(out)])

    assert done.exit_code == 0, done.exception
    document = json.loads(done.stdout)  # stdout is one JSON document and nothing else
    assert json.loads(out.read_text()) == document
    assert document["schema"] == "sepo.bench/1"
    assert document["machine"]["cpus"] > 0
    assert set(document["machine"]["versions"]) >= {"sepo", "python", "numpy", "open_spiel"}
    (part,) = document["benchmarks"]
    assert part["name"] == "exploitability"
    assert part["repeats"] == 2
    seconds = {row["way"]: row["seconds"] for row in part["rows"]}
    assert len(seconds) == len(part["rows"]) == 4
    for row in part["rows"]:
        assert 0 < row["min"] <= row["seconds"] <= row["max"]
        assert row["work"]["policies"] == 50
        assert row["work"]["largest difference"] <= 1e-9
    assert part["ratios"]["tree held vs OpenSpiel"] == seconds["OpenSpiel"] / seconds["sepo, tree held"]
    assert min(part["ratios"].values()) > 0
    assert "warm-up" in done.stderr


def test_ways_take_turns_and_medians_are_scaled() -> None:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    timing = import_module(f"{package.__name__}.timing")
    calls: list[str] = []

    def way(name: str, seconds: list[float], scale: float = 1.0) -> object:
        left = iter(seconds)

        def run() -> float:
            calls.append(name)
            return next(left)

        return timing.Way(name, run, {"n": 1}, "a note", scale)

    ways = [way("slow", [99.0, 3.0, 2.0, 9.0], scale=10.0), way("fast", [99.0, 1.0, 5.0, 2.0])]
    comparison = timing.Comparison("both", ways, {"fast vs slow": ("slow", "fast")})

    part = timing.measure("both", comparison, 3, lambda _: None)

    assert calls == ["slow", "fast"] * 4  # the first turn warms up and does not count
    assert part["rows"][0] == {
        "way": "slow",
        "seconds": 30.0,
        "min": 20.0,
        "max": 90.0,
        "work": {"n": 1},
        "note": "a note",
    }
    assert part["rows"][1]["seconds"] == 2.0
    assert part["ratios"] == {"fast vs slow": 15.0}


def test_a_profile_stands_in_the_document_and_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    timing = import_module(f"{package.__name__}.timing")
    groups = {"model": {"forward": 0.5, "backward": 1.0}, "other": {"record": 0.5}}
    comparison = timing.Comparison(
        "a step",
        [timing.Way("ours", lambda: 2.0), timing.Way("theirs", lambda: 6.0)],
        {"ours vs theirs": ("theirs", "ours")},
        profile=lambda: timing.Profile("where time goes", groups),
    )
    part = timing.measure("step", comparison, 1, lambda _: None)
    assert part["profile"] == {
        "about": "where time goes",
        "seconds": 2.0,
        "groups": groups,
        "shares": {"model": 0.75, "other": 0.25},
    }
    bench.show_benchmarks([part])
    shown = capsys.readouterr().out
    assert shown.index("backward") < shown.index("forward")  # the largest first
    assert "step: where time goes" in shown
    assert "other: 25.0% of the time" in shown
    assert "ours vs theirs: 3 times faster" in shown


def test_a_stopwatch_gives_time_to_the_innermost_part_and_leaves_what_it_timed_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    stopwatch = import_module(f"{package.__name__}.stopwatch")
    clock = [0.0]
    monkeypatch.setattr(stopwatch, "perf_counter", lambda: clock[0])

    class Work:
        def inner(self) -> None:
            clock[0] += 1

        def outer(self) -> None:
            clock[0] += 2
            self.inner()
            clock[0] += 4

    work, inner, outer = Work(), Work.inner, Work.outer
    watch = stopwatch.Stopwatch("rest")
    parts = [stopwatch.Part(Work, "outer", "outer"), stopwatch.Part(work, "inner", lambda: "inner")]

    def interrupted() -> None:
        with watch.running(parts):
            work.outer()
            clock[0] += 8
            work.inner()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert watch.seconds == {"rest": 8, "outer": 6, "inner": 2}
    assert (Work.inner, Work.outer) == (inner, outer)
    assert "inner" not in vars(work)


def test_the_result_is_a_table_without_json(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspiel")
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, ["exploitability", "--repeats", "1"])
    assert done.exit_code == 0, done.exception
    assert "OpenSpiel" in done.stdout
    assert "times faster" in done.stdout
    assert "turn 1 of 1" not in done.stdout


def test_unknown_benchmark_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(
        InputError,
        match=r"unknown benchmark 'speed'.*elicitation, attention, lora, head, trunk, decisions, training_step, ipd",
    ):
        bench.command(["speed"])


def test_no_folder_is_an_input_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no benchmarks here: run sepo bench from a clone of the repository"):
        bench.command(["exploitability"])
