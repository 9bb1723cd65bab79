"""How an audit finds its figures: from episodes until they are precise enough, and with what is known beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from sepo.audit import exact, methods
from sepo.audit.board import Subject
from sepo.audit.figures import ANYONE, clip, measured, reported, span
from sepo.audit.found import Found, difference, statistic
from sepo.audit.methods import EPISODES, Options, find
from sepo.audit.sampled import FIRST
from sepo.audit.scorecard import scorecard, scorecards
from sepo.audit.sequence import half_width, linearised
from sepo.audit.tournament import MatchOptions, tournament
from sepo.errors import InputError
from sepo.games.base import Game, Weights
from sepo.games.items import Items
from sepo.games.registry import make
from sepo.policies.human import HumanPolicy
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.solve.expand import expand
from tests.hidden import Hidden, written_out


@pytest.fixture(autouse=True)
def _no_worst_case_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "worst_case", lambda *a, **k: {}, raising=False)


@dataclass(frozen=True)
class Asked:
    """A policy that can only be asked, as a model is."""

    policy: Any
    name: str = "asked"

    def probabilities(self, decisions: Any) -> Any:
        return self.policy.probabilities(decisions)

    def legal_mass(self) -> None:
        return None

    def about(self) -> dict[str, Any]:
        return {}


def sampled(policy: Any, game: Game, **options: Any) -> Found:
    return find(policy, game, [game.measures("paper")], Options(method="sampled", **options))


def random_table(game: Game, seed: int = 1) -> Any:
    return written_out(Hidden(seed), game, expand(game).questions)


@pytest.mark.parametrize(("name", "target"), [("kuhn", 0.5), ("ipd", 0.35)])
def test_play_stops_at_the_first_look_at_which_j_is_known_well_enough(name: str, target: float):
    game = make(name, {"rounds": 3} if name == "ipd" else {})
    policy = random_table(game)
    found = sampled(policy, game, half_width=target, control=False)
    stopped = found.extra["stopped"]
    assert stopped["of"] == "paper J"
    assert stopped["at"] == found.values.episodes
    formula = measured(game, game.measures("paper"))["J"]
    assert formula is not None
    rows = found.values.rows
    looks = [FIRST * 2**k for k in range(20) if FIRST * 2**k <= stopped["at"]]
    assert looks[-1] == stopped["at"] > FIRST
    widths = [float(half_width(linearised(rows[:n], statistic(formula, found.values)))) for n in looks]
    assert widths[-1] == pytest.approx(stopped["half_width"], rel=1e-9)
    assert widths[-1] <= target < min(widths[:-1])


def test_a_narrower_half_width_takes_more_clusters_and_control_variates_fewer():
    game = make("kuhn")
    policy = random_table(game)
    wide, narrow = (sampled(policy, game, half_width=h, control=False).extra["stopped"]["at"] for h in (1.0, 0.25))
    assert FIRST <= wide < narrow
    assert sampled(policy, game, half_width=0.01).extra["stopped"]["at"] == FIRST


def test_a_model_without_a_tree_stops_too():
    game = make("ipd", {"rounds": 2})
    found = sampled(Hidden(2), game, half_width=0.6)
    assert found.extra["stopped"]["half_width"] <= 0.6
    assert found.extra["stopped"]["at"] % FIRST == 0


def test_sampling_gives_up_where_no_half_width_can_be_had(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(methods, "MOST_EPISODES", 800)
    game = make("kuhn")
    stopped = sampled(random_table(game), game, half_width=1e-6, control=False).extra["stopped"]
    assert stopped["at"] == 800
    assert stopped["half_width"] > 1e-6


def test_clusters_are_as_many_as_asked_for():
    game = make("kuhn")
    assert sampled(UniformPolicy(), game).values.episodes == EPISODES
    assert sampled(UniformPolicy(), game, episodes=37).values.episodes == 37
    items = make("items", {"instances": 5, "rounds": 1})
    assert sampled(Hidden(1), items).values.episodes == 5


def test_control_variates_may_be_left_out_and_say_what_they_were_worth():
    game = make("ipd", {"rounds": 4})
    policy = random_table(game)
    with_, without = (sampled(policy, game, episodes=300, control=c) for c in (True, False))
    u = measured(game, game.measures("paper"))["u"]
    exact = find(policy, game, [game.measures("paper")], Options(method="exact")).figure(u, ("u",))
    fine, rough = with_.figure(u, ("u",)), without.figure(u, ("u",))
    assert exact is not None
    assert fine is not None
    assert rough is not None
    assert "effective" not in rough
    assert fine["effective"] is None  # no variance is left
    assert fine["value"] == pytest.approx(exact["value"], abs=1e-9)
    assert rough["low"] <= exact["value"] <= rough["high"]
    assert rough["high"] - rough["low"] > 0.01


def test_control_variates_are_worth_episodes_of_a_model_too():
    game = make("split", {"rounds": 3})
    u = measured(game, game.measures("paper"))["u"]
    model = sampled(Hidden(1), game, episodes=300).figure(u, ("u",))
    plain = sampled(Hidden(1), game, episodes=300, control=False).figure(u, ("u",))
    assert model is not None
    assert plain is not None
    assert model["effective"] > 300
    assert model["high"] - model["low"] < plain["high"] - plain["low"]


def test_a_seed_decides_every_sampled_figure():
    game = make("kuhn")
    cards = [
        scorecard(
            random_table(game), [game], Options(method="sampled", seed=s, episodes=50, control=False, sets="paper")
        )
        for s in (0, 0, 1)
    ]
    assert cards[0] == cards[1]
    assert cards[0]["games"]["kuhn"]["measures"] != cards[2]["games"]["kuhn"]["measures"]


@pytest.mark.parametrize("name", ["kuhn", "ipd", "auction", "split", "commons"])
def test_every_sampled_figure_of_a_known_policy_is_the_exact_one(name: str):
    game = make(name, {"rounds": 3} if name != "kuhn" else {})
    policy = ScriptPolicy("s", next(iter(game.measures("sepo").pools["train"])))
    exact, found = (
        scorecard(policy, [game], Options(method=m, episodes=200))["games"][name]  # type: ignore[arg-type]
        for m in ("exact", "sampled")
    )
    assert found["method"] == "sampled"
    for s in ("paper", "sepo"):
        for k, want in exact["measures"][s].items():
            got = found["measures"][s][k]
            assert (got is None) == (want is None)
            assert want is None or got["value"] == pytest.approx(want["value"], abs=1e-9), (s, k)
    for a, b in zip(exact["opponents"], found["opponents"], strict=True):
        assert b["own"]["value"] == pytest.approx(a["own"]["value"], abs=1e-9)


def test_instances_that_are_played_again_make_one_cluster():
    game = make("items", {"instances": 4, "rounds": 1})
    once, twice = (sampled(Hidden(1), game, episodes=n).values for n in (4, 8))
    own = [v.values[v.columns["fair", "own"]] for v in (once, twice)]
    np.testing.assert_allclose(own[0], own[1], atol=1e-9)  # a round's expectation knows no luck
    plain = [sampled(Hidden(1), game, episodes=n, control=False).values for n in (4, 400)]
    rows = [v.values[v.columns["fair", "own"]] for v in plain]
    assert np.abs(rows[1] - own[0]).max() < np.abs(rows[0] - own[0]).max()
    assert rows[1].shape == (4,)


def test_playing_the_same_instances_again_does_not_narrow_the_interval_over_them():
    game = make("items", {"instances": 8, "rounds": 1})
    u = measured(game, game.measures("paper"))["u"]
    once, often = (sampled(Hidden(1), game, episodes=n).figure(u, ("u",)) for n in (8, 200))
    assert once is not None
    assert often is not None
    assert often["high"] - often["low"] > 0.6 * (once["high"] - once["low"])
    assert once["n"] == often["n"] == 8


@pytest.mark.parametrize("control", [True, False])
def test_extremes_of_sampled_instances_have_the_interval_over_them_as_exact_ones_have(control: bool):
    game, policy = make("items", {"instances": 40}), ScriptPolicy("script:fair", "fair")
    want, found, few = (
        scorecard(policy, [game], options)["games"]["items"]
        for options in (
            Options(method="exact", adversaries=False),
            Options(method="sampled", control=control, adversaries=False, episodes=80),
            Options(method="sampled", control=control, adversaries=False, episodes=20),
        )
    )
    for name in ("worst_case_advantage", "security_gap", "pool_coverage"):
        assert {k: v for k, v in found[name].items() if k != "effective"} == pytest.approx(want[name]), name
    assert found["worst_case_advantage"]["low"] < found["worst_case_advantage"]["value"]
    assert few["worst_case_advantage"]["n"] == 20
    exact_few = evaluated(policy, game)[:20]  # the instances that were played
    assert few["worst_case_advantage"]["value"] == pytest.approx(exact_few.mean())


def test_a_share_of_a_worst_case_known_as_a_lower_bound_alone_may_be_as_small_as_nothing():
    game = make("split", {"rounds": 2})
    found = sampled(UniformPolicy(), game, control=False, episodes=64)
    pooled = found.figure(clip(game.measures("paper").pools["exploiter"], {"other": 1.0, "own": -1.0}), ("e",))
    formula = reported(game, game.measures("paper"), ["worst"])["pool_coverage"]
    worst = 1.01 * pooled["value"]
    found.values.fix(ANYONE, "worst", worst, worst, math.inf)
    coverage = found.figure(formula, ("coverage",), span("pool_coverage", game.measures("paper")))
    assert coverage == {"value": pytest.approx(1 / 1.01), "low": 0.0, "high": 1.0, "n": 64}  # no pool finds more
    found.values.fix(ANYONE, "worst", worst, worst, worst)
    exactly = found.figure(formula, ("coverage",), span("pool_coverage", game.measures("paper")))
    assert exactly["low"] == pytest.approx(pooled["low"] / worst, rel=0.05)
    assert (exactly["value"], exactly["high"]) == (coverage["value"], 1.0)
    found.values.fix(ANYONE, "worst", worst, worst, 2 * worst)
    assert found.figure(formula, ("coverage",))["low"] == pytest.approx(exactly["low"] / 2, rel=0.05)


def evaluated(policy: ScriptPolicy, game: Game) -> Any:
    """Return the worst case of each instance."""
    alone = exact.Expectations()
    alone.add("", "", np.zeros(1))
    exact.extremes(Subject(game, policy), alone)
    return alone.values[alone.columns[ANYONE, "worst"]]


def test_a_single_instance_is_no_draw_and_its_episodes_make_the_interval():
    game = make("items", {"instances": 1, "rounds": 2})
    u = measured(game, game.measures("paper"))["u"]
    want = find(UniformPolicy(), game, [game.measures("paper")], Options(method="exact", adversaries=False))
    true = want.figure(u, ("u",))["value"]
    noisy = sampled(UniformPolicy(), game, control=False, adversaries=False).figure(u, ("u",))
    assert noisy["n"] == EPISODES
    assert noisy["low"] < true < noisy["high"]
    assert noisy["high"] - noisy["low"] < 1.0
    sure = sampled(UniformPolicy(), game, adversaries=False, episodes=20).figure(u, ("u",))
    assert [sure[k] for k in ("value", "low", "high")] == pytest.approx([true] * 3)  # no luck is left


@pytest.mark.parametrize("rules", [{"instances": 1}, {"instances": 64}])
def test_a_single_episode_does_not_say_how_far_off_it_is(rules: dict[str, int]):
    game = make("items", rules)
    asked = [(policy, [game]) for policy in (UniformPolicy(), ScriptPolicy("script:fair", "fair"))]
    options = Options(sets="paper", method="sampled", control=False, adversaries=False, episodes=1)
    found = scorecards(asked, options)
    for part in (card["games"]["items"] for card in found["scorecards"]):
        for figure in (part["measures"]["paper"]["u"], part["opponents"][0]["own"]):
            assert (figure["low"], figure["high"], figure["n"]) == (None, None, 1)
    apart = found["differences"]["of"]["script:fair"]["items"]["paper"]["u"]
    assert (apart["low"], apart["high"], apart["n"]) == (None, None, 1)
    match = tournament([p for p, _ in asked], game, MatchOptions(method="sampled", deals=1), lambda *_: None)
    assert {k: match["ratings"][0][k] for k in ("low", "high", "n")} == {"low": None, "high": None, "n": 1}


def test_a_half_width_plays_every_instance_equally_often():
    game = make("items", {"instances": 128, "rounds": 1})
    at = sampled(Hidden(1), game, half_width=1e-6).extra["stopped"]["at"]
    assert at == 128


def test_the_legal_mass_of_a_sampled_game_is_that_of_its_own_decisions():
    class ByGame(Hidden):
        masses: dict[str, float]

        def answer(self, decision: Any) -> Any:
            self.masses = getattr(self, "masses", {}) | {decision.key: 0.2 if decision.game.name == "split" else 0.8}
            return super().answer(decision)

        def legal_mass(self) -> dict[str, float]:
            return dict(self.masses)

    games = [make("split", {"rounds": 2}), make("commons", {"rounds": 2})]
    card = scorecard(ByGame(1), games, Options(method="sampled", episodes=30, sets="paper"))["games"]
    assert card["split"]["legal_mass"]["value"] == pytest.approx(0.2)
    assert card["commons"]["legal_mass"]["value"] == pytest.approx(0.8)


def test_a_sampled_audit_of_a_model_goes_without_exploitability():
    card = scorecard(Hidden(1), [make("kuhn")], Options(method="sampled", episodes=30))
    assert card["games"]["kuhn"]["measures"]["sepo"]["e"] is None


def test_where_no_best_response_can_be_had_regret_and_its_j_are_unknown_and_the_rest_stays(
    monkeypatch: pytest.MonkeyPatch,
):
    policy, options = ScriptPolicy("script:fair", "fair"), Options(adversaries=False)
    want = scorecard(policy, [Items(rounds=1, instances=3)], options)["games"]["items"]
    monkeypatch.setattr(exact, "REPLY_WORK", 0)
    game = Items(rounds=1, instances=3)
    part = scorecard(policy, [game], options)["games"]["items"]
    assert part["method"] == want["method"] == "exact in each of 3 instances"
    assert part["measures"]["paper"] == want["measures"]["paper"]
    assert part["measures"]["sepo"] == want["measures"]["sepo"] | {"e": None, "J": None}
    assert want["measures"]["sepo"]["e"]["value"] > 0
    assert [o["regret"] for o in part["opponents"]] == [None] * len(part["opponents"])
    assert [o["own"] for o in part["opponents"]] == [o["own"] for o in want["opponents"]]
    with pytest.raises(InputError, match="so sepo J is not known: leave out --half-width"):
        find(policy, game, [game.measures("sepo")], Options(method="sampled", half_width=0.5))
    weightless = replace(game.measures("sepo"), weights=Weights(0.0, 2.0, 1.8))
    known = find(policy, game, [weightless], options).measures(weightless)
    assert known["e"] is None
    assert known["J"] is not None


def test_a_half_width_of_few_instances_is_no_infinite_number_in_the_document():
    game = make("items", {"instances": 8, "rounds": 1})
    with pytest.raises(InputError, match="at least 100 instances of game 'items': --rule instances=100"):
        scorecard(Hidden(1), [game], Options(method="sampled", half_width=0.5))


def test_a_person_is_not_sampled():
    with pytest.raises(InputError, match="a person is asked about a whole game"):
        sampled(HumanPolicy(), make("kuhn"))


def test_every_sampled_figure_is_a_number_with_its_interval():
    game = make("auction", {"rounds": 3})
    part = scorecard(Hidden(3), [game], Options(method="sampled", episodes=60))["games"]["auction"]
    rows = [f for s in part["measures"].values() for f in s.values() if f is not None]
    rows += [f for row in part["opponents"] for f in row.values() if isinstance(f, dict)]
    assert len(rows) > 30
    for f in rows:
        assert f["n"] in (60, None)
        assert math.isfinite(f["value"])
        assert f["low"] <= f["value"] <= f["high"]


def test_differences_between_policies_are_paired_and_those_of_exact_figures_exact():
    game = make("ipd", {"rounds": 4})
    asked = [(ScriptPolicy(f"script:{n}", n), [game]) for n in ("generous_tit_for_tat", "tit_for_tat")]
    exactly = scorecards(asked)
    found = exactly["differences"]["of"]["script:tit_for_tat"]["ipd"]["paper"]["J"]
    first, second = (card["games"]["ipd"]["measures"]["paper"]["J"]["value"] for card in exactly["scorecards"])
    assert found == {
        "value": pytest.approx(second - first, abs=1e-12),
        "low": found["value"],
        "high": found["value"],
        "n": None,
    }
    sampled = scorecards(asked, Options(method="sampled", control=False, episodes=400))
    paired = sampled["differences"]["of"]["script:tit_for_tat"]["ipd"]["paper"]["J"]
    assert paired["low"] <= found["value"] <= paired["high"]
    assert sampled["differences"]["from"] == "script:generous_tit_for_tat"
    same = scorecards(
        [(UniformPolicy(), [game]), (UniformPolicy("again"), [game])], Options(method="sampled", control=False)
    )
    j = same["scorecards"][0]["games"]["ipd"]["measures"]["paper"]["J"]
    nothing = same["differences"]["of"]["again"]["ipd"]["paper"]["J"]
    assert j["high"] - j["low"] > 0.01  # luck of its own, none of it between the two
    assert nothing == {
        "value": 0,
        "low": None,
        "high": None,
        "n": 1000,
    }  # nor is there any way to tell that none can be
    settled = scorecards([(UniformPolicy(), [game]), (UniformPolicy("again"), [game])], Options(method="sampled"))
    nothing = settled["differences"]["of"]["again"]["ipd"]["paper"]["J"]
    assert [nothing[end] for end in ("low", "value", "high")] == pytest.approx([0, 0, 0], abs=1e-12)


def test_policies_that_stopped_at_different_counts_are_paired_over_the_clusters_both_played():
    game = make("ipd", {"rounds": 2})
    options = Options(sets="sepo", method="sampled", control=False, half_width=0.15, adversaries=False)
    asked = [(ScriptPolicy(f"script:{n}", n), [game]) for n in ("tit_for_tat", "generous_tit_for_tat")]
    both = scorecards(asked, options)
    stopped = [card["games"]["ipd"]["stopped"]["at"] for card in both["scorecards"]]
    assert stopped[0] < stopped[1]
    found = both["differences"]["of"]["script:generous_tit_for_tat"]["ipd"]
    same = scorecards(asked, replace(options, half_width=None, episodes=stopped[0]))
    assert found == same["differences"]["of"]["script:generous_tit_for_tat"]["ipd"]
    assert found["sepo"]["J"]["n"] == found["reported"]["robustness"]["n"] == stopped[0]


def test_instances_that_one_policy_played_are_paired_with_the_same_of_one_that_played_all():
    game = make("items", {"instances": 24, "rounds": 2})
    known = ScriptPolicy("script:tit_for_tat", "tit_for_tat")
    both = scorecards([(known, [game]), (Asked(known), [game])], Options(episodes=9, adversaries=False))
    first, second = (card["games"]["items"]["measures"]["sepo"]["u"] for card in both["scorecards"])
    assert (first["n"], second["n"]) == (24, 9)
    assert first["value"] != pytest.approx(second["value"])
    found = both["differences"]["of"]["asked"]["items"]  # neither the policy nor its opponents toss a coin
    for figure in (*found["paper"].values(), *found["sepo"].values(), *found["reported"].values()):
        if figure is not None:
            assert (figure["value"], figure["n"]) == (pytest.approx(0, abs=1e-9), 9)
            away = 1 - 0.025 ** (1 / 9)  # they play alike in nine instances: a share is nowhere known to differ more
            assert (figure["low"], figure["high"]) in ((None, None), (pytest.approx(-away), pytest.approx(away)))
    assert found["sepo"]["J"] is not None
    assert found["reported"]["held_out"] is not None


def test_an_exact_policy_of_one_row_is_not_paired_with_a_sampled_one():
    game = make("ipd", {"rounds": 2})
    one, two = (
        sampled(UniformPolicy(), game, episodes=50),
        find(UniformPolicy(), game, [game.measures("paper")], Options(adversaries=False)),
    )
    u = one.measures(game.measures("paper"))["u"]
    assert difference(one, two, u, u, ("u",)) is None
    assert difference(two, one, u, u, ("u",)) is None


def test_under_stopping_j_has_the_interval_that_allows_for_it():
    card = scorecard(
        UniformPolicy(), [make("ipd", {"rounds": 3})], Options(method="sampled", control=False, half_width=0.2)
    )
    part = card["games"]["ipd"]
    j = part["measures"]["sepo"]["J"]
    assert part["stopped"]["half_width"] <= 0.2
    assert j["high"] - j["value"] == pytest.approx(part["stopped"]["half_width"])


def test_nothing_is_audited_or_matched_on_instances_that_share_a_hand() -> None:
    game = make("items", {"instances": 8, "opponent_values": 4})
    scripts = [ScriptPolicy(f"script:{name}", name) for name in ("half_up", "fair")]
    for act in (
        lambda: find(scripts[0], game, [game.measures("paper")], Options()),
        lambda: tournament(scripts, game, MatchOptions(), lambda what, done, total: None),
    ):
        with pytest.raises(InputError, match="not independent, so no interval over them would hold"):
            act()


@pytest.mark.parametrize("control", [True, False])
def test_what_nothing_random_bears_on_is_a_point_and_all_else_is_one_by_control_variates_alone(control: bool):
    game = make("ipd", {"rounds": 3})
    script = ScriptPolicy("script", "tit_for_tat")
    found = scorecard(script, [game], Options(method="sampled", control=control, adversaries=False, episodes=12))
    part = found["games"]["ipd"]
    rows = {row["name"]: row["own"] for row in part["opponents"]}
    for name in ("always_cooperate", "always_defect", "grim_trigger"):
        row = rows[name]
        assert row["low"] == row["high"] == pytest.approx(row["value"])
    assert (rows["mixed"]["high"] - rows["mixed"]["low"] < 1e-9) == control
    for name, quantity in (("always_defect", "own"), ("mixed", "own"), ("mixed", "best")):
        values = sampled(script, game, control=control, episodes=12).values
        assert ((name, quantity) in values.settled) == (control or (name, quantity) != ("mixed", "own"))


def test_what_is_the_same_in_all_instances_drawn_may_not_be_in_others():
    game, policy = make("items", {"instances": 20, "rounds": 1}), ScriptPolicy("script:fair", "fair")
    for options in (Options(adversaries=False), Options(method="sampled", adversaries=False)):
        found = find(policy, game, [game.measures("paper")], options)
        part = scorecard(policy, [game], options)["games"]["items"]
        c = part["measures"]["paper"]["c"]
        assert [c[k] for k in ("value", "low", "high", "n")] == pytest.approx([0, 0, 1 - 0.025 ** (1 / 20), 20])
        assert {quantity for _, quantity in found.values.settled} == {"round"}


def test_a_j_that_has_not_varied_yet_stops_nothing_and_leaves_no_infinite_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(methods, "MOST_EPISODES", 200)
    game = make("kuhn")
    still = exact.Expectations.sure.fget

    def unsettled(values: exact.Expectations) -> Any:
        return np.zeros_like(still(values))

    options = Options(method="sampled", half_width=0.1, sets="paper", adversaries=False)
    assert scorecard(UniformPolicy(), [game], options)["games"]["kuhn"]["stopped"]["at"] == FIRST
    monkeypatch.setattr(exact.Expectations, "sure", property(unsettled))
    part = scorecard(UniformPolicy(), [game], options)["games"]["kuhn"]
    assert part["stopped"] == {"at": 200, "half_width": None, "of": "paper J"}
    j = part["measures"]["paper"]["J"]
    assert (j["low"], j["high"]) == (None, None)
