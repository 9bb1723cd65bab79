"""Sampled quantities against exact ones: unbiased with any control variate, paired across policies, and covered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from sepo.audit.board import Match, Subject, match
from sepo.audit.estimate import clustered, influence
from sepo.audit.exact import Expectations, evaluate
from sepo.audit.figures import Figure, measured
from sepo.audit.methods import Options, _until_enough
from sepo.audit.sampled import FIRST, Baseline, Sampled, joined, on_trees, with_best, without_tree
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.keys import generator
from sepo.policies.base import Policy
from sepo.policies.script import ScriptPolicy
from sepo.solve.tree import Floats
from tests.hidden import Hidden, pool_names

pytestmark = pytest.mark.no_cover  # plain Python that tracing slows to half: other tests cover it

GAMES: dict[str, dict[str, Any]] = {
    "kuhn": {},
    "ipd": {"rounds": 4},
    "auction": {"rounds": 2},
    "split": {"rounds": 2},
    "commons": {"rounds": 3},
    "items": {"rounds": 1, "instances": 3},
}
SCRIPTS = {
    "kuhn": "nash",
    "ipd": "generous_tit_for_tat",
    "auction": "truthful",
    "split": "concede",
    "commons": "reciprocal",
    "items": "tit_for_tat",
}
CLUSTERS = 1500


def quiet(done: int, total: int) -> None:
    """Say nothing."""


def made(name: str) -> Game:
    return make(name, GAMES[name])


def policies(name: str) -> list[Policy]:
    return [ScriptPolicy("script", SCRIPTS[name]), Hidden(1)]


def met(game: Game, policy: Policy, names: Sequence[str] | None = None) -> dict[str, list[Match]]:
    subject = Subject(game, policy)
    return {o: [match(subject, o, s) for s in game.seats] for o in names or pool_names(game)}


@cache
def known(name: str, which: int) -> Expectations:
    game = made(name)
    return evaluate(Subject(game, policies(name)[which]), pool_names(game))


def uniform(m: Match) -> Floats:
    return 1.0 / m.tree.sizes[m.tree.owner]


def wrong(m: Match) -> Floats:
    raw = generator("wrong", m.opponent, m.seat).gamma(0.5, size=len(m.tree.owner)) + 1e-9
    return raw / np.bincount(m.tree.owner, raw, len(m.tree.infosets))[m.tree.owner]


def z_scores(found: Expectations, truth: Expectations) -> Floats:
    """Return each quantity's error in standard errors; a quantity that never varies must be right.

    Rare counts are left out, of which a standard error says nothing.
    """
    out = []
    for column, which in found.columns.items():
        rows = found.values[which]
        exact = truth.values[truth.columns[column]] if column in truth.columns else np.zeros(1)
        error = rows - exact[np.arange(len(rows)) % len(exact)]
        if np.ptp(error) < 1e-9:
            assert abs(error.mean()) < (1e-9 if abs(error[0]) < 1e-9 else 10 / len(rows)), column
        elif (np.abs(error - np.median(error)) > 1e-9).sum() >= 40:
            out.append(error.mean() / (error.std(ddof=1) / np.sqrt(len(error))))
    return np.array(out)


def plausible(z: Floats) -> None:
    """Hold z-scores to the standard normal distribution, as far as scores that share their clusters can be."""
    assert np.abs(z).max() < 4.5
    assert 0.005 < np.mean(np.abs(z) > 1.96) < 0.105
    assert 0.8 < z.std() < 1.25
    assert abs(z.mean()) < 0.35


@pytest.mark.parametrize("baseline", [None, uniform, wrong], ids=["own", "uniform", "wrong"])
def test_means_on_trees_are_right_whatever_the_baseline_of_the_control_variates(baseline: Baseline | None):
    plain, reduced = [], []
    for name in GAMES:
        for which, policy in enumerate(policies(name)):
            game = made(name)
            found = on_trees(met(game, policy), range(CLUSTERS), ("means", which, str(baseline and 1)), baseline)
            plain.append(z_scores(found.plain, known(name, which)))
            reduced.append(z_scores(found.values, known(name, which)))
    plausible(np.concatenate(plain))
    if baseline is not None:
        plausible(np.concatenate(reduced))
    else:
        assert sum(map(len, reduced)) == 0  # the policy's own value leaves nothing to chance


def test_means_without_a_tree_are_right_with_and_without_the_rounds_expectations():
    plain, reduced = [], []
    for name in GAMES:
        for which, policy in enumerate(policies(name)):
            game = made(name)
            found = without_tree(policy, game, pool_names(game), range(300), ("lockstep", which), quiet)
            plain.append(z_scores(found.plain, known(name, which)))
            reduced.append(z_scores(found.values, known(name, which)))
    plausible(np.concatenate(plain))
    plausible(np.concatenate(reduced))


@pytest.mark.parametrize("name", GAMES)
def test_trees_and_lockstep_count_the_same_quantities_in_the_same_unit(name: str):
    game, policy = made(name), Hidden(2)
    names = pool_names(game)[:2]
    exact = evaluate(Subject(game, policy), names)
    lock = without_tree(policy, game, names, range(400), ("unit",), quiet).values
    for column, which in exact.columns.items():
        if column[1] != "best":
            got = lock.values[lock.columns[column]].mean() if column in lock.columns else 0.0
            assert got == pytest.approx(exact.values[which].mean(), abs=0.35, rel=0.25)
    assert (lock.values[lock.columns[names[0], "round"]] == 1).all()


def spread(values: Expectations, formula: Figure) -> float:
    """Return the variance of a figure's influence values."""
    return float(influence(values.rows, lambda means: formula(values.get(means)).value).var())


def figures(game: Game, values: Expectations, *names: str) -> list[Figure]:
    with_best(values, game, pool_names(game), range(len(values.values[0])))
    rows = [measured(game, game.measures(s)) for s in ("paper", "sepo")]
    return [f for row in rows for name in names if (f := row[name]) is not None]


@pytest.mark.parametrize("name", ["kuhn", "ipd"])
def test_a_policys_own_values_cut_the_variance_at_least_tenfold_and_uniform_values_cut_it_too(name: str):
    game, policy = made(name), Hidden(3)
    matches = met(game, policy)
    own, even = (on_trees(matches, range(2000), ("cut",), b) for b in (None, uniform))
    for found in (own, even):
        with_best(found.plain, game, pool_names(game), range(2000))
    asked = ["u", "x"] if name == "kuhn" else ["u", "e", "J"]
    for formula in figures(game, own.values, *asked):
        assert spread(own.values, formula) <= spread(own.plain, formula) / 10
    even_figures = figures(game, even.values, "u")
    assert all(spread(even.plain, f) / spread(even.values, f) > 1 for f in even_figures)


@pytest.mark.parametrize("name", ["items", "split", "commons", "auction"])
def test_the_expectation_of_each_round_cuts_the_variance_without_a_tree(name: str):
    rules = {"rounds": 3, "instances": 4} if name == "items" else {}
    game = make(name, rules)
    found = without_tree(Hidden(4), game, pool_names(game), range(80), ("rounds",), quiet)
    with_best(found.plain, game, pool_names(game), range(80))
    (formula, _) = figures(game, found.values, "u")
    if name == "items":  # what an instance is worth is no luck of play
        within = [
            sum(e.rows[i::4][:, e.columns[o, "own"]].var() for i in range(4) for o in pool_names(game))
            for e in (found.plain, found.values)
        ]
        assert within[0] / within[1] > 1.5
    assert spread(found.plain, formula) / spread(found.values, formula) > 1


def test_an_instance_on_its_tree_is_exact_and_stays_what_the_interval_is_over():
    game, policy = make("items", {"rounds": 1, "instances": 4}), Hidden(1)
    names = pool_names(game)[:3]
    found = on_trees(met(game, policy, names), range(10), ("instances",)).values
    exact = evaluate(Subject(game, policy), names)
    for column, which in found.columns.items():
        want = exact.values[exact.columns[column]]
        np.testing.assert_allclose(found.values[which], want[np.arange(10) % 4], atol=1e-9)
    assert np.ptp(found.values[found.columns[names[0], "own"]]) > 0.01


def test_clusters_do_not_depend_on_the_batch_they_are_played_in():
    for name in GAMES:
        game, policy = made(name), Hidden(5)
        matches, names = met(game, policy), pool_names(game)
        for play in (
            lambda r, matches=matches: on_trees(matches, r, ("batch",), uniform),
            lambda r, game=game, policy=policy, names=names: without_tree(policy, game, names, r, ("batch",), quiet),
        ):
            whole, parts = play(range(12)), [play(r) for r in (range(5), range(5, 12))]
            for field in ("values", "plain"):
                together = joined([getattr(p, field) for p in parts])
                want = getattr(whole, field)
                for column, which in want.columns.items():
                    np.testing.assert_allclose(together.values[together.columns[column]], want.values[which], atol=1e-9)


def test_who_else_plays_changes_no_cluster_even_where_their_games_are_longer():
    kuhn = make("kuhn")
    policy = ScriptPolicy("script", "always_pass")
    alone, along = (
        on_trees(met(kuhn, policy, names), range(50), ("along",)).plain
        for names in (["always_pass"], ["always_pass", "always_bet"])
    )
    for column, which in alone.columns.items():
        np.testing.assert_array_equal(alone.values[which], along.values[along.columns[column]])


def test_policies_meet_the_same_coins_of_an_opponent_on_trees():
    ipd = make("ipd")
    rows = {}
    for script in ("always_cooperate", "always_defect"):
        found = on_trees(met(ipd, ScriptPolicy("script", script), ["mixed"]), range(300), ("coins",)).plain
        rows[script] = found.values[found.columns["mixed", "own"]]
    cooperated = rows["always_cooperate"] / 3  # share of rounds: 3 a round, and nothing for the others
    np.testing.assert_allclose(rows["always_defect"], 5 * cooperated + (1 - cooperated), atol=1e-9)
    assert 0.4 < cooperated.mean() < 0.6


@pytest.mark.parametrize("name", ["kuhn", "ipd", "auction"])
def test_common_random_numbers_make_differences_of_two_policies_less_noisy(name: str):
    game = made(name)
    names = pool_names(game)

    class Near(Hidden):
        """The same but for a tenth of uniform play."""

        def answer(self, decision: Any) -> Floats:
            return 0.9 * super().answer(decision) + 0.1 / len(decision.legal)

    for play in (
        lambda p: on_trees(met(game, p), range(1000), ("paired",)).plain,
        lambda p: without_tree(p, game, names, range(300), ("paired",), quiet).plain,
    ):
        a, b = (
            np.mean([v for (_, q), i in e.columns.items() if q == "own" for v in [e.values[i]]], axis=0)
            for e in (play(Hidden(6)), play(Near(6)))
        )
        assert np.var(a - b) < 0.6 * (np.var(a) + np.var(b))


AUDITS, SIZE = 2000, 60


@cache
def big_sample(name: str, number: int) -> tuple[Game, Expectations, Expectations]:
    """Draw one large plain sample of a random policy, and what is exactly true of it."""
    game = make(name, {"rounds": 3} if name == "ipd" else {})
    measures = [game.measures(s) for s in ("paper", "sepo")]
    names = tuple(dict.fromkeys(o for m in measures for p in ("train", "exploiter", "collusive") for o in m.pools[p]))
    policy = Hidden(7)
    found = on_trees(met(game, policy, names), range(number), ("coverage",)).plain
    with_best(found, game, names, range(number))
    return game, found, evaluate(Subject(game, policy), names)


@pytest.mark.parametrize(("name", "which"), [("kuhn", "J"), ("ipd", "u"), ("ipd", "e"), ("ipd", "J")])
def test_intervals_of_sampled_audits_cover_the_exact_figure_19_times_in_20(name: str, which: str):
    game, sample, exact = big_sample(name, AUDITS * SIZE)
    formula = measured(game, game.measures("paper"))[which]
    assert formula is not None
    asked: set[int] = set()
    formula(sample.get(sample.rows[:2], asked))
    truth = float(formula(exact.get(exact.rows.mean(axis=0, keepdims=True))).value[0])
    columns = sorted(asked)
    rows = np.column_stack([sample.values[c] for c in columns]).reshape(AUDITS, SIZE, len(columns))

    def statistic(means: Floats) -> Floats:
        every = np.zeros((len(means), len(sample.values)))
        every[:, columns] = means
        return formula(sample.get(every)).value

    rng = generator("intervals", name, which)
    hits = [i.low <= truth <= i.high for i in (clustered(r, statistic, rng, draws=250) for r in rows)]
    assert 0.93 <= np.mean(hits) <= 0.975


def test_audits_that_stop_at_a_half_width_cover_the_exact_j():
    game, sample, exact = big_sample("kuhn", AUDITS * SIZE)
    measures = game.measures("paper")
    formula = measured(game, measures)["J"]
    assert formula is not None
    truth = float(formula(exact.get(exact.rows.mean(axis=0, keepdims=True))).value[0])
    longest = 400
    covered, sizes = [], []
    for audit in range(AUDITS * SIZE // longest):

        def batch(clusters: range, begin: int = audit * longest) -> Sampled:
            part = Expectations()
            for (o, q), i in sample.columns.items():
                if q != "best" and not q.startswith("play "):
                    part.add(o, q, sample.values[i][begin + clusters.start : begin + clusters.stop])
            return Sampled(part, part)

        parts, look = _until_enough(batch, game, measures, Options(half_width=0.65, control=False), FIRST, 10_000)
        values = joined([p.plain for p in parts])
        assert look is not None
        assert look.half_width <= 0.65
        estimate = float(formula(values.get(values.rows.mean(axis=0, keepdims=True))).value[0])
        covered.append(abs(estimate - truth) <= look.half_width)
        sizes.append(look.n)
    assert len(covered) >= 200
    assert np.mean(covered) >= 0.93
    assert min(sizes) >= FIRST
    assert max(sizes) <= longest
