"""Asking a model: what is not asked leaves bounds that hold, and what matters most is asked first."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sepo.audit import methods
from sepo.audit.board import Subject
from sepo.audit.elicitation import FIRST, Inquiry
from sepo.audit.exact import evaluate, extremes
from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.audit.units import MEETING
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.policies.script import ScriptPolicy
from sepo.solve.expand import MAX_NODES, expand
from sepo.solve.value import infoset_reach
from tests.hidden import Hidden, pool_names, written_out

GAMES = [("kuhn", 0), ("ipd", 2), ("ipd", 4), ("split", 2), ("auction", 3), ("commons", 3), ("commons", 4)]
SEEDS = [(1, 1.0), (2, 0.1), (3, 0.0)]


@pytest.fixture(autouse=True)
def _no_worst_case_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out who attains the worst case and how fast: slow, and no matter of what is asked."""
    monkeypatch.setattr(methods, "worst_case", lambda *a, **k: {}, raising=False)


def made(name: str, rounds: int) -> Game:
    return make(name, {"rounds": rounds} if rounds else {})


def audited(policy: Any, game: Game, **options: Any) -> dict[str, Any]:
    part: dict[str, Any] = scorecard(policy, [game], Options(**options))["games"][game.name]
    return part


@cache
def exact(name: str, rounds: int, seed: int, sharpness: float) -> dict[str, Any]:
    game = made(name, rounds)
    table = written_out(Hidden(seed, sharpness), game, expand(game).questions)
    return audited(table, game)


def figures(part: Any, path: str = "") -> dict[str, dict[str, Any]]:
    """Return every figure by its path."""
    if isinstance(part, dict):
        if {"value", "low", "high"} <= set(part):
            return {path: part}
        return {k: f for key in part for k, f in figures(part[key], f"{path}/{key}").items()}
    if isinstance(part, list):
        return {k: f for i, item in enumerate(part) for k, f in figures(item, f"{path}/{i}").items()}
    return {}


def contained(bounded: dict[str, Any], truth: dict[str, Any]) -> dict[str, float]:
    """Hold every exact figure within its bounds; return the widths."""
    have, want = figures(bounded), figures(truth)
    widths = {}
    for path, figure in have.items():
        low = -np.inf if figure["low"] is None else figure["low"]
        high = np.inf if figure["high"] is None else figure["high"]
        if path in want and "legal_mass" not in path:
            assert low - 1e-9 <= want[path]["value"] <= high + 1e-9, path
            widths[path] = high - low
    for name in ("u", "e", "J"):
        assert f"/measures/sepo/{name}" in widths
    assert "/opponents/0/own" in widths
    return widths


@pytest.mark.parametrize(("seed", "sharpness"), SEEDS)
@pytest.mark.parametrize(("name", "rounds"), GAMES)
def test_without_a_limit_every_figure_is_that_of_the_whole_table(name: str, rounds: int, seed: int, sharpness: float):
    policy = Hidden(seed, sharpness)
    part = audited(policy, made(name, rounds), budget=None)
    assert part["method"] == "exact"
    assert part["states"]["asked"] == len(policy.asked) == len(set(policy.asked))
    have, want = figures(part), figures(exact(name, rounds, seed, sharpness))
    assert have.keys() >= want.keys()
    for path, figure in have.items():  # what is never played is no action of a table, and a share of 0 of a model
        assert figure["value"] == pytest.approx(want[path]["value"] if path in want else 0.0, abs=1e-9), path
        assert (figure["low"], figure["high"]) == (figure["value"], figure["value"]), path


@pytest.mark.parametrize(("seed", "sharpness"), SEEDS)
@pytest.mark.parametrize(("name", "rounds"), GAMES)
def test_bounds_hold_the_exact_figures_whatever_the_budget(name: str, rounds: int, seed: int, sharpness: float):
    game, truth = made(name, rounds), exact(name, rounds, seed, sharpness)
    for budget in (1, 3, 7) if name == "kuhn" else (1, 5, 20, 60):
        policy = Hidden(seed, sharpness)
        part = audited(policy, game, budget=budget)
        assert len(policy.asked) <= budget
        assert len(set(policy.asked)) == len(policy.asked) == part["states"]["asked"]
        contained(part, truth)


@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "rounds", "budget"), [("ipd", 8, 150), ("split", 3, 40)])
def test_bounds_hold_in_large_games_too(name: str, rounds: int, budget: int):
    game, policy = made(name, rounds), Hidden(2, 0.1)
    part = audited(policy, game, budget=budget)
    assert part["method"] == "bounded"
    assert len(policy.asked) == budget
    widths = contained(part, exact(name, rounds, 2, 0.1))
    assert max(widths.values()) > 0.01


@pytest.mark.parametrize(("name", "rounds"), [("ipd", 4), ("ipd", 5), ("commons", 4), ("auction", 3)])
def test_bounds_shrink_as_the_budget_grows_and_end_in_points(name: str, rounds: int):
    game, truth = made(name, rounds), exact(name, rounds, 4, 1.0)
    widths = [contained(audited(Hidden(4), game, budget=b), truth) for b in (1, 4, 16, 64, 256)]
    for before, after in pairwise(widths):
        for path, width in after.items():
            if path.startswith("/opponents"):
                assert width <= before[path] + 1e-9, path
    total = [sum(w[f"/measures/{s}/{m}"] for s in ("paper", "sepo") for m in "uJ") for w in widths]
    assert all(b < a or a == 0 for a, b in pairwise(total))
    assert total[-1] < 0.6 * total[0]


def inquiry(policy: Any, game: Game, budget: int | None, names: tuple[str, ...] | None = None) -> Inquiry:
    most = MAX_NODES if getattr(game, "alike", False) else MEETING
    return Inquiry(policy, game, names or pool_names(game), budget, lambda *a: None, most)


def test_the_most_reached_states_are_asked_first():
    game, policy = make("ipd"), Hidden(5)
    ask = inquiry(policy, game, 1000)
    reached: dict[str, float] = {}
    for ms in ask.matches.values():
        for m in ms:
            for i, r in zip(m.tree.infosets, infoset_reach(m.tree, m.profile).tolist(), strict=True):
                if i.seat == m.seat:
                    reached[i.key] = max(reached.get(i.key, 0.0), r)
    want = sorted(reached, key=lambda k: (-reached[k], k))[:FIRST]
    ask.ask()
    assert policy.calls[0] == want
    assert policy.calls[0][0] == ""
    assert len(policy.asked) <= 1000


def test_what_a_policy_never_does_is_not_asked_about():
    game, policy = make("ipd"), Hidden(6, sharpness=0)
    part = audited(policy, game)
    assert part["method"] == "exact"
    assert len(policy.asked) == part["states"]["asked"] <= 600
    # 255 lines of the other's play, and what seemed open before the answers that rule it out
    assert part["states"]["reachable"] == 21845


def test_a_script_that_poses_as_a_model_has_the_scripts_figures():
    class Posing(Hidden):
        def answer(self, decision: Any) -> Any:
            return ScriptPolicy("s", "grim_trigger").probabilities([decision])[0]

    game = make("ipd")
    want = figures(audited(ScriptPolicy("s", "grim_trigger"), game))
    part = audited(Posing(0), game)
    assert part["method"] == "exact"
    assert part["measures"]["paper"]["J"]["value"] == pytest.approx(1.7690, abs=5e-5)
    have = figures(part)
    for path in want.keys() & have.keys():
        assert have[path]["value"] == pytest.approx(want[path]["value"], abs=1e-9), path


@pytest.mark.parametrize(("name", "rounds"), [("split", 2), ("auction", 3), ("kuhn", 0)])
def test_ties_are_broken_alike_each_time_and_whatever_the_order_of_opponents(name: str, rounds: int):
    game = made(name, rounds)
    names = pool_names(game)
    calls = []
    for order in (names, names, names[::-1]):
        policy = Hidden(7)
        inquiry(policy, game, 40, order).ask()
        calls.append(policy.calls)
    assert calls[0] == calls[1]
    assert calls[0][0] == calls[2][0]
    first, turned = ({key for call in c for key in call} for c in (calls[0], calls[2]))
    assert first == turned


def test_answers_with_a_legal_mass_are_kept_with_it():
    game, policy = make("kuhn"), Hidden(8, mass=0.25)
    ask = inquiry(policy, game, 7)
    ask.ask()
    table = ask.table()
    assert len(table.table) == 7
    assert table.mass == dict.fromkeys(table.table, 0.25)
    for key, row in table.table.items():
        assert sum(row.values()) == pytest.approx(1), key


def test_progress_counts_up_to_the_budget():
    told: list[tuple[str, int, int]] = []
    game = make("commons", {"rounds": 4})
    Inquiry(Hidden(9), game, pool_names(game), 100, lambda *a: told.append(a), MAX_NODES).ask()
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})
    assert told[0][1:] == (0, 100)
    assert told[-1][1:] == (100, 100)
    assert "commons" in told[0][0]
    assert "820 states" in told[0][0]  # what it may cost is said before it starts


@pytest.mark.parametrize("quantity", ["worst", "gap", "exploitability"])
def test_extremes_are_bounded_over_all_seats_where_only_one_has_an_open_state(quantity: str):
    game = make("kuhn")
    for seed in range(3):
        whole = written_out(Hidden(seed), game, expand(game).questions)
        known = Subject(game, whole)
        exactly = evaluate(known, pool_names(game))
        extremes(known, exactly)
        truth = exactly.get(exactly.rows)("*", {quantity: 1.0}).value[0]
        for key in whole.table:
            rest = {k: row for k, row in whole.table.items() if k != key}
            subject = Subject(game, replace(whole, table=rest), unknown=True)
            values = evaluate(subject, pool_names(game))
            extremes(subject, values)
            bounds = values.get(values.rows)("*", {quantity: 1.0})
            assert bounds.low[0] - 1e-9 <= truth <= bounds.high[0] + 1e-9, (seed, key)


def test_an_auction_that_ends_with_the_deviation_is_audited_too():
    part = audited(Hidden(1), make("auction", {"rounds": 2}))
    assert part["deviation_response"] is None
