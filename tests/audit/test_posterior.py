"""Figures of a model known from samples: intervals cover the exact ones, and maxima are not flattered by noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from sepo.audit.board import Subject
from sepo.audit.exact import evaluate
from sepo.audit.figures import of
from sepo.audit.methods import Options
from sepo.audit.posterior import from_replies, illegal_rate
from sepo.audit.scorecard import audit, audit_table, by_set, scorecards
from sepo.games.base import Decision, Game
from sepo.games.registry import make
from sepo.keys import generator
from sepo.policies.base import Policy, Tally
from sepo.policies.function import FunctionPolicy
from sepo.policies.reasoned import Hear, ReasonedPolicy, ReplyRules, Wanted
from sepo.policies.remembered import title
from sepo.policies.script import UniformPolicy, played
from sepo.policies.spread import Elsewhere
from sepo.policies.table import PolicyTable, row
from sepo.solve.expand import expand
from sepo.solve.tree import Ints
from sepo.solve.value import move_reach, reach
from tests.brute import random_strategy
from tests.small_repeated import Pennies, UnknownPennies
from tests.writers import Table, TableWriter, random_table

pytestmark = pytest.mark.no_cover  # plain Python that tracing slows to half: other tests cover it

BESIDE = ("exploitability", "worst_case_advantage", "security_gap", "robustness", "held_out")
QUIET = Options(adversaries=False)


def sampled(game: Game, table: Table, samples: int, seed: int = 0, fault: float = 0.0, **rules: Any) -> ReasonedPolicy:
    asked = ReplyRules(samples=samples, tokens=2, **{"retries": 0, **rules})
    return ReasonedPolicy(TableWriter(game, table, fault), f"model {seed}", asked, seed)


def known(game: Game, table: Table) -> PolicyTable:
    return PolicyTable("known", game.name, game.rules, table)


def answers(chosen: Ints, none: int = 0) -> Tally:
    """Return what one reply each came to, (halves, legal actions), and in the first half those that were illegal."""
    replies = int(chosen.sum()) + none
    return Tally(chosen, np.array([none, 0]), replies, none, 0, np.eye(chosen.shape[1])[0])


def exactly(game: Game, table: Table) -> dict[str, Any]:
    """Return what a scorecard says of the policy that is asked about by samples."""
    return audit_table(known(game, table), game, adversaries=False)


def figures(part: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a scorecard's figures by name."""
    out = {f"{of} {k}": m for of, row in part["measures"].items() for k, m in row.items()}
    out |= {k: part.get(k) for k in BESIDE}
    out |= {f"{o['pool']} {o['name']}": o["own"] for o in part["opponents"]}
    return {k: m for k, m in out.items() if m is not None}


@pytest.mark.parametrize("concentration", [1.0, 0.15])
def test_intervals_cover_the_exact_figures_at_their_rate(kuhn: Game, concentration: float):
    audits, covered = 30, {}
    for seed in range(audits):
        table = random_table(kuhn, seed, concentration)
        exact = figures(exactly(kuhn, table))
        found = figures(audit(sampled(kuhn, table, 32, seed), by_set(kuhn, "both"), QUIET))
        assert found.keys() == exact.keys()
        for name, m in found.items():
            covered.setdefault(name, []).append(m["low"] - 1e-12 <= exact[name]["value"] <= m["high"] + 1e-12)
    least = int(binom.ppf(1e-4, audits, 0.95))  # one figure in ten thousand has fewer if each is covered at 95 %
    for name, hits in covered.items():
        assert sum(hits) >= least, name
    assert np.mean([np.mean(hits) for hits in covered.values()]) >= 0.93


def test_intervals_cover_where_many_states_lie_on_a_path():
    game, met, n, audits = make("ipd", {"rounds": 6}), "always_defect", 16, 30
    tit_for_tat, own = game.opponents["tit_for_tat"], of([met], {"own": 1.0})
    truth = FunctionPolicy("truth", lambda d: 0.98 * played(tit_for_tat, d) + 0.02 / len(d.legal))
    exact = evaluate(Subject(game, truth), [met])
    states = [i.decision for m in exact.matches[met] for i in m.tree.infosets if i.seat == m.seat]
    covered = 0
    for seed in range(audits):
        rng = np.random.default_rng(seed)
        counts = [rng.multinomial(n // 2, p, 2) for p in truth.probabilities(states)]
        model = ReasonedPolicy(Elsewhere(), "model", ReplyRules(samples=n))
        model.add({(title(d), d.key): answers(c) for d, c in zip(states, counts, strict=True)})
        table = {d.key: row(d, model.tally(d).policy) for d in states}
        values = evaluate(Subject(game, known(game, table)), [met])
        m = from_replies(model, values, exact.matches, [], (seed,), game).figure(own, ())
        assert m is not None
        covered += m["low"] <= own(exact.get(exact.rows)).value[0] <= m["high"]
    assert covered >= binom.ppf(1e-3, audits, 0.95)


@pytest.mark.parametrize("rate", [0.01, 0.03])
def test_the_share_of_illegal_replies_over_many_states_is_covered_at_its_rate(kuhn: Game, rate: float):
    met = list(kuhn.measures("sepo").pools["train"])
    matches = [m for ms in evaluate(Subject(kuhn, UniformPolicy()), met).matches.values() for m in ms]
    states = dict.fromkeys(i.key for m in matches for i in m.tree.infosets if i.seat == m.seat)
    audits, covered = 60, 0
    for seed in range(audits):
        faults = np.random.default_rng(seed).binomial(32, rate, len(states)).tolist()
        counts = [np.array([[32 - k, 0], [0, 0]]) for k in faults]
        tallies = {key: answers(c, k) for key, c, k in zip(states, counts, faults, strict=True)}
        m = illegal_rate(matches, tallies, (seed,))
        assert m is not None
        covered += m["low"] <= rate <= m["high"]
    assert len(states) == 12
    assert covered >= binom.ppf(1e-3, audits, 0.95)


def test_a_maximum_is_found_on_one_half_and_valued_on_the_other(kuhn: Game):
    nash = kuhn.opponents["nash"]
    table = {d.key: dict(zip(d.legal, played(nash, d).tolist(), strict=True)) for d in expand(kuhn).questions}
    valued, found, covered = [], [], 0
    for seed in range(40):
        part = audit(sampled(kuhn, table, 16, seed), by_set(kuhn, "sepo"), QUIET)
        m = part["exploitability"]
        assert part["measures"]["sepo"]["e"] == m
        assert 0 <= m["found"] <= m["high"]
        covered += m["low"] <= 0
        valued.append(m["value"])
        found.append(m["found"])
    assert covered >= binom.ppf(1e-3, 40, 0.95)
    assert np.mean(found) > 0.05  # an equilibrium is exploited by nobody, but the noise of its samples is
    assert np.mean(valued) < 2 * np.std(valued) / len(valued) ** 0.5


def test_with_many_samples_it_is_the_exact_audit(kuhn: Game):
    table = random_table(kuhn, 5)
    exact = figures(exactly(kuhn, table))
    found = figures(audit(sampled(kuhn, table, 4000), by_set(kuhn, "both"), QUIET))
    for name, m in found.items():
        assert m["value"] == pytest.approx(exact[name]["value"], abs=0.03), name
        assert m["high"] - m["low"] < 0.05


def test_a_game_whose_value_nobody_can_say_has_no_security_gap_and_all_else():
    known, unknown = (g(2, seats=(0, 1)) for g in (Pennies, UnknownPennies))
    options = Options(adversaries=False, sets="sepo")
    want, got = (audit(sampled(g, random_table(g, 1), 8), by_set(g, "sepo"), options) for g in (known, unknown))
    assert want["security_gap"] is not None
    assert got["security_gap"] is None
    assert got["worst_case_advantage"]["value"] == pytest.approx(want["worst_case_advantage"]["value"])
    assert got["exploitability"]["value"] == pytest.approx(want["exploitability"]["value"])


def test_a_repeated_game_is_asked_about_where_it_goes():
    game = make("ipd", {"rounds": 4})
    table = {d.key: {"COOPERATE": 0.7, "DEFECT": 0.3} for d in expand(game).questions}
    exact = exactly(game, table)
    part = audit(sampled(game, table, 64), by_set(game, "both"), Options())
    assert part["method"] == "estimated"
    assert part["worst_case"]["lower_bound"] is True
    for name in ("u", "e", "J"):
        m = part["measures"]["paper"][name]
        assert m["low"] <= exact["measures"]["paper"][name]["value"] <= m["high"]
    assert part["replies"]["decisions"] == 64 * part["states"]["asked"]


def test_faulty_replies_are_shown_and_folded_into_nothing(kuhn: Game):
    table = {d.key: {a: 1.0 if a in ("BET", "CALL") else 0.0 for a in d.legal} for d in expand(kuhn).questions}
    part = audit(sampled(kuhn, table, 400, fault=0.25, retries=1), by_set(kuhn, "both"), QUIET)
    m, told = part["illegal_rate"], part["replies"]
    assert m["low"] <= 0.25 <= m["high"]
    assert m["value"] == pytest.approx(0.25, abs=0.02)
    assert told["replies"] == told["decisions"] + told["illegal"] - told["unanswered"]
    assert told["unanswered"] / told["decisions"] == pytest.approx(0.25**2, abs=0.02)
    assert part["frequencies"]["seat 0"]["BET"]["value"] < 1.0  # a sixteenth is forfeited


def test_where_the_game_is_too_large_it_plays_one_reply_a_decision():
    game = make("ipd", {"rounds": 3})
    table = {d.key: {"COOPERATE": 0.6, "DEFECT": 0.4} for d in expand(game).questions}
    exact = exactly(game, table)
    model = sampled(game, table, 32, fault=0.1, retries=3)
    part = audit(model, by_set(game, "both"), Options(method="sampled", episodes=300))
    assert part["method"] == "sampled"
    for name in ("u", "e", "c", "J"):
        m, want = part["measures"]["paper"][name], exact["measures"]["paper"][name]["value"]
        assert m["low"] - 0.02 <= want <= m["high"] + 0.02, name
    assert part["illegal_rate"]["value"] == pytest.approx(0.1, abs=0.01)
    assert part["replies"]["decisions"] == 300 * 3 * len(dict.fromkeys(o["name"] for o in part["opponents"]))


def test_the_share_of_illegal_replies_is_covered_at_its_rate():
    game = make("ipd", {"rounds": 3})
    table = {d.key: {"COOPERATE": 0.6, "DEFECT": 0.4} for d in expand(game).questions}
    covered = 0
    for seed in range(16):
        model = sampled(game, table, 1, seed, fault=0.1, retries=3)
        rate = audit(model, by_set(game, "both"), Options(method="sampled", episodes=40))["illegal_rate"]
        covered += rate["low"] < 0.1 < rate["high"]
    assert covered >= 14


class OftenLost(ReasonedPolicy):
    """Cooperates; in a fifth of the clusters half of its replies are no answer, in the others hardly any."""

    def once(self) -> Policy:
        return OftenLost(self.writer, self.name, ReplyRules(samples=1), self.seed, "play")

    def draw(self, decisions: Sequence[Decision], wanted: Sequence[Wanted], hear: Hear | None = None) -> list[Tally]:
        out = []
        for w in wanted:
            often = generator(self.seed, w.key[0]).random() < 0.2
            lost = generator(self.seed, decisions[w.at].key, *w.key).random() < (0.5 if often else 0.02)
            out.append(answers(np.array([[1 - lost, 0], [0, 0]]), int(lost)))
        return out


def test_the_share_of_illegal_replies_is_covered_where_they_gather_in_some_clusters():
    game, audits, covered = make("ipd", {"rounds": 2}), 30, 0
    options = Options(sets="sepo", adversaries=False, method="sampled", episodes=32)
    for seed in range(audits):
        m = audit(OftenLost(Elsewhere(), "m", ReplyRules(), seed), by_set(game, "sepo"), options)["illegal_rate"]
        assert m["n"] == 32
        covered += m["low"] <= 0.2 * 0.5 + 0.8 * 0.02 <= m["high"]
    assert covered >= binom.ppf(1e-3, audits, 0.95)


@pytest.mark.parametrize("fault", [0.0, 1.0])
def test_a_share_of_illegal_replies_that_never_varies_is_not_shown_as_certain(fault: float):
    game = make("ipd", {"rounds": 2})
    model = sampled(game, random_table(game, 1), 1, fault=fault)
    m = audit(model, by_set(game, "sepo"), Options(sets="sepo", method="sampled", episodes=30))["illegal_rate"]
    assert (m["value"], m["n"]) == (fault, 30)
    assert m["high"] - m["low"] == pytest.approx(1 - 0.025 ** (1 / 30))


def test_differences_allow_for_both_sides_samples(kuhn: Game):
    one, two = random_table(kuhn, 1), random_table(kuhn, 2)
    asked = [(sampled(kuhn, one, 32, 1), [kuhn]), (sampled(kuhn, two, 32, 2), [kuhn]), (known(kuhn, two), [kuhn])]
    found = scorecards(asked, QUIET)
    exact = [exactly(kuhn, t)["measures"]["sepo"]["J"]["value"] for t in (one, two)]
    both, half = (found["differences"]["of"][name]["kuhn"]["sepo"]["J"] for name in ("model 2", "known"))
    for m in (both, half):
        assert m["low"] < exact[1] - exact[0] < m["high"]
    assert half["high"] - half["low"] < both["high"] - both["low"]


def test_between_a_policy_and_itself_asked_anew_there_is_no_difference():
    game = make("ipd", {"rounds": 1})
    pairs, covered = 20, 0
    for seed in range(pairs):
        table = random_table(game, seed)
        asked = [(sampled(game, table, 32, 100 * seed + which), [by_set(game, "sepo")]) for which in (1, 2)]
        (found,) = scorecards(asked, Options(sets="sepo", adversaries=False))["differences"]["of"].values()
        covered += found["ipd"]["sepo"]["u"]["low"] <= 0 <= found["ipd"]["sepo"]["u"]["high"]
    assert covered >= binom.ppf(1e-3, pairs, 0.95)


def test_the_same_seed_gives_the_same_scorecard(kuhn: Game):
    table = random_table(kuhn, 4)
    first, second = (audit(sampled(kuhn, table, 16, 7), by_set(kuhn, "both"), QUIET) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["kuhn", "ipd"])
def test_many_profiles_are_swept_as_each_of_them(name: str):
    tree = expand(make(name, {"rounds": 3} if name == "ipd" else {}))
    profiles = np.stack([random_strategy(tree, seed) for seed in range(5)])
    for sweep in (reach, move_reach):
        assert sweep(tree, profiles).tolist() == [sweep(tree, p).tolist() for p in profiles]
