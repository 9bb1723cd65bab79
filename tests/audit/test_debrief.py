"""Looking back: every figure beside what is known from elsewhere, and an account that adds up."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from sepo.audit import ahead as ahead_module
from sepo.audit.ahead import Answers, ahead
from sepo.audit.board import Subject, facing
from sepo.audit.debrief import debrief, hints
from sepo.audit.exact import best_values
from sepo.audit.exposure import exposure
from sepo.audit.told import exposed, lines, outcome, points, summary
from sepo.games.base import CHANCE, TERMINAL, Decision, Game, State
from sepo.games.registry import GAMES, make
from sepo.games.repeated import RepeatedGame
from sepo.play.session import Move, Session
from sepo.policies.base import Policy
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.spec import load_policy
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from sepo.solve.response import best_response, exploitability
from tests.hidden import Hidden, written_out
from tests.writers import TableWriter, random_table

SCRIPTS = (
    *("nash_approx", "tight_passive", "grim_trigger", "generous_tit_for_tat", "adaptive", "win_stay", "concede"),
    *("tit_for_tat_split", "tit_for_tat", "logroller", "grim", "reciprocal", "uniform"),
)
SMALL = {"items": {"instances": 3, "instance_seed": 5}}
"""Instances with few units, whose trees are small."""
PAIRS = [(name, script) for name in GAMES for script in SCRIPTS if script in make(name).opponents]
Choose = Callable[[Session, Decision], str]


def play(game: Game, policy: Policy, choose: Choose, **settings: object) -> Session:
    session = Session(game, policy, **settings)  # type: ignore[arg-type]
    session.advance()
    while (decision := session.decision) is not None:
        session.act(choose(session, decision))
        session.advance()
    return session


def by_lot(seed: int) -> Choose:
    lots = np.random.default_rng(seed)
    return lambda session, decision: decision.legal[lots.integers(len(decision.legal))]


@pytest.mark.parametrize(("name", "script"), PAIRS)
def test_no_move_costs_less_than_nothing_and_the_account_adds_up(name: str, script: str):
    game = make(name, SMALL.get(name))
    session = play(game, load_policy(f"script:{script}", game), by_lot(1), key=(script,))
    found = debrief(session)
    judged = [j for hand in found.hands for j in hand.judged]
    assert len(judged) == sum(not m.learner for h in session.hands for _, m in h.moves)
    for j in judged:
        assert j.worth is not None
        assert set(j.worth) == set(j.decision.legal)
        assert j.cost == pytest.approx(max(j.worth.values()) - j.worth[j.action])
        assert j.cost >= 0
    assert found.best is not None
    assert found.cost == pytest.approx(sum(j.cost for j in judged))
    assert found.luck == pytest.approx(session.totals()[1] - found.best + found.cost)
    assert sum(hand.paid for hand in found.hands) == session.totals()[1]


@pytest.mark.parametrize(("name", "script"), PAIRS)
def test_what_is_best_is_what_the_audit_finds(name: str, script: str):
    """The audit's best reply to an opponent, found by other code: backward over rounds, or the opponent's own tree."""
    game = make(name, SMALL.get(name))
    session = play(game, load_policy(f"script:{script}", game), by_lot(2), key=("audit",), seat=game.seats[0])
    known = best_values(game, script)
    assert known is not None
    best = debrief(session).best
    if game.sampled_chance:
        instance = int(session.hands[0].labels[0])
        assert best == pytest.approx(known[instance] * game.rounds)
    else:
        assert best == pytest.approx(known[0] * game.rounds * len(session.hands))  # per round, in all seats alike


@pytest.mark.parametrize(("name", "script"), PAIRS)
def test_who_plays_the_best_response_gives_nothing_away(name: str, script: str):
    game = make(name, SMALL.get(name))
    policy = load_policy(f"script:{script}", game)
    answers = Answers(policy, game)

    def best(session: Session, decision: Decision) -> str:
        worth = hints(session, answers)
        assert worth is not None
        return max(worth, key=lambda action: worth[action])

    session = play(game, policy, best, key=("best", script))
    found = debrief(session)
    assert found.cost == pytest.approx(0.0)
    assert all(j.best == j.action for hand in found.hands for j in hand.judged)


def every_line(game: Game, policy: Policy, choose: Choose, seat: int) -> list[tuple[float, Session]]:
    """Play a hand along every draw of chance and of the policy: its probability, and the session it makes."""
    out = []
    stack: list[tuple[float, tuple[str, ...]]] = [(1.0, ())]
    while stack:
        p, drawn = stack.pop()
        session = Session(game, policy, seat=seat, hands=1)
        forced = iter(drawn)
        while (state := session.hand.state).actor != TERMINAL:
            if (decision := session.decision) is not None:
                session.act(choose(session, decision))
                continue
            options = _options(game, policy, state)
            if (label := next(forced, None)) is None:
                stack += [(p * q, (*drawn, option)) for option, q in options if q > 0]
                break
            _force(session, label)
        else:
            out.append((p, session))
    return out


def _options(game: Game, policy: Policy, state: State) -> list[tuple[str, float]]:
    if state.actor == CHANCE:
        return list(state.chance())
    decision = game.decision(state)
    return list(zip(decision.legal, policy.probabilities([decision])[0].tolist(), strict=True))


def _force(session: Session, label: str) -> None:
    """Let the next draw fall on a label."""
    state = session.hand.state
    if state.actor == CHANCE:
        session.hand.enter(label)
    else:
        session.note(Move(True, session.game.decision(state), label, None))


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize("name", ["kuhn", "auction"])
def test_luck_is_nothing_on_average_whatever_the_person_plays(name: str, seat: int):
    """Over all cards and all draws, exactly: so the best response's total is the mean of what it is paid."""
    game = make(name, {"rounds": 2} if name == "auction" else {})
    table = random_table(game, 3)
    policy = PolicyTable("drawn", name, game.rules, table)
    person = random_table(game, 4, 0.01)
    found = every_line(game, policy, lambda s, d: max(person[d.key], key=lambda a: person[d.key][a]), seat)
    assert sum(p for p, _ in found) == pytest.approx(1.0)
    backs = [(p, session, debrief(session)) for p, session in found]
    assert sum(p * b.luck for p, _, b in backs) == pytest.approx(0.0, abs=1e-12)
    assert max(abs(b.luck) for _, _, b in backs) > 0.1
    tree = expand(game)
    best = best_response(tree, laid(tree, table), seat, tree.feature("own", seat)).value
    assert {round(b.best, 9) for _, _, b in backs} == {round(best, 9)}
    own = sum(p * session.totals()[1] for p, session, _ in backs)
    assert own == pytest.approx(best - sum(p * b.cost for p, _, b in backs))


def laid(tree, table):
    return np.concatenate([[table[i.key][a] for a in i.decision.legal] for i in tree.infosets])


def test_worth_is_that_of_the_whole_tree_from_any_round_on(monkeypatch: pytest.MonkeyPatch):
    """A game that is judged from its third round on is worth there what it is in the whole tree."""
    game = make("ipd", {"rounds": 5})
    model = Hidden(1)
    session = play(game, model, by_lot(3))
    table = written_out(model, game, expand(game).questions)
    whole, why = ahead(Answers(table, game), session.hands[0])
    assert whole is not None
    assert (whole.since, why) == (0, "")
    rest, why = ahead(Answers(model, game, questions=30), session.hands[0])  # 1 + 4 + 16 of the last 3 rounds
    assert rest is not None
    assert rest.since == 4
    assert "asked about more than 30" in why
    for place, move in session.hands[0].moves:
        if not move.learner and place >= 4:
            assert rest.worth(place) == pytest.approx(whole.worth(place))


def test_a_model_is_asked_no_more_than_is_granted_and_what_is_not_known_is_said():
    game = make("split")
    model = Hidden(1)
    session = play(game, model, lambda s, d: "5", key=(7,))
    model.calls.clear()
    found = debrief(session, questions=128)
    assert len(model.asked) <= 128 + 2  # and what it said in the first two rounds, where only the round is judged
    assert found.best is None
    assert found.luck is None
    known = [j.worth is not None for j in found.hands[0].judged]
    assert known == [False, False, True, True]
    first = found.hands[0].judged[0]
    assert first.now is not None
    answer = model.answer(game.decision(session.hands[0].states[0]))
    assert first.now["4"] == pytest.approx(4 * answer[:6].sum())  # six of nine demands fit
    told = summary(game, found)
    assert any("cannot be computed" in text and "more than 128 situations" in text for text in told)
    assert any("The 2 of your moves that can be judged" in text for text in told)
    assert [line.best for line in lines(found)[:2]] == ["not computed", "not computed"]


def test_the_round_alone_is_worth_what_the_rest_of_a_last_round_is():
    """In the last round nothing is left but the round itself: two ways to the same figures."""
    for name in ("ipd", "auction", "split", "commons", "items"):
        game = make(name)
        policy = load_policy("uniform")
        session = play(game, policy, by_lot(5), key=(name,))
        exact = debrief(session).hands[0].judged[-1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ahead_module, "NODES", 0)
            patch.setattr(ahead_module, "WALKED", 0)
            blind = debrief(session)
        assert all(j.worth is None for j in blind.hands[0].judged)
        assert blind.hands[0].judged[-1].now == pytest.approx(exact.worth)
        assert isinstance(game, RepeatedGame)


def test_a_policy_that_writes_freely_is_not_judged_and_says_so():
    game = make("kuhn")
    policy = ReasonedPolicy(TableWriter(game, random_table(game, 1)), "writer", ReplyRules(samples=1))
    session = play(game, policy, by_lot(1))
    found = debrief(session)
    assert found.best is found.cost is found.luck is None
    assert "known from its replies alone" in " ".join(summary(game, found))
    assert all(j.worth is None for hand in found.hands for j in hand.judged)
    assert found.exposure.figures  # the person is known all the same


def test_a_table_that_lacks_what_was_never_met_is_said_to():
    game = make("kuhn")
    table = {"J:": {"PASS": 1.0}, "Q:": {"PASS": 1.0}, "K:": {"PASS": 1.0}}
    session = play(game, PolicyTable("part", "kuhn", {}, table), lambda s, d: "PASS", hands=1)
    found = debrief(session)
    assert found.best is None
    assert "lacks information state" in " ".join(summary(game, found))


def test_bounds_hold_whatever_the_person_might_do_elsewhere():
    """Every completion by pure actions lies between the bounds, and the bounds are not empty words."""
    game = make("kuhn")
    tree = expand(game)
    session = play(game, load_policy("script:nash", game), by_lot(1), hands=40, key=("bounds",))
    low, high = exposure(session).figures["exploitability"]
    seen = {m.decision.key for h in session.hands for _, m in h.moves if not m.learner}
    shares = {}
    for info in tree.infosets:
        made = [m.action for h in session.hands for _, m in h.moves if not m.learner and m.decision.key == info.key]
        shares[info.key] = [made.count(a) / len(made) if made else 0.5 for a in info.decision.legal]
    open_ = [i.key for i in tree.infosets if i.key not in seen]
    assert 0 < len(open_) <= 8
    values = []
    for pure in itertools.product([0.0, 1.0], repeat=len(open_)):
        full = shares | {key: [p, 1 - p] for key, p in zip(open_, pure, strict=True)}
        values.append(exploitability(tree, np.concatenate([full[i.key] for i in tree.infosets])))
    assert 0 <= low <= min(values)
    assert max(values) <= high
    assert high < 2


def test_who_was_seen_everywhere_is_known_exactly():
    game = make("kuhn")
    tree = expand(game)
    session = play(game, load_policy("uniform"), by_lot(1), hands=400, key=("all",))
    low, high = exposure(session).figures["exploitability"]
    rows = {}
    for info in tree.infosets:
        made = [m.action for h in session.hands for _, m in h.moves if not m.learner and m.decision.key == info.key]
        rows[info.key] = [made.count(a) / len(made) for a in info.decision.legal]
    assert low == high
    assert low == pytest.approx(exploitability(tree, np.concatenate([rows[i.key] for i in tree.infosets])))
    assert "between" not in " ".join(exposed(game, debrief(session)))


def test_in_a_game_too_large_to_bound_the_line_that_was_played_is_judged():
    game = make("split")
    session = play(game, load_policy("script:fair", game), lambda s, d: "1")
    found = exposure(session)
    assert found.figures == {}
    (lead,) = found.ahead
    assert lead == (3 * (5 - 1) + (9 - 1), 4)  # three rounds of 5 against 1, then a demand of 9
    told = " ".join(exposed(game, debrief(session)))
    assert "before round 4" in told
    assert "ahead of you by 20" in told


def test_the_tree_of_a_policy_with_a_short_memory_is_looked_up_by_what_it_remembers():
    game = make("commons")
    policy = load_policy("script:high_then_low", game)
    session = play(game, policy, by_lot(0), key=(1,))
    found, _ = ahead(Answers(policy, game), session.hands[0])
    assert found is not None
    whole = facing(Subject(game, policy), 0)
    assert found.tree.nodes == whole.tree.nodes < 100
    table = PolicyTable("written", "commons", game.rules, {}, default=None)
    assert table.default is None
    long, _ = ahead(Forgetless(policy, game), session.hands[0])
    assert long is not None
    assert long.tree.nodes > 6000
    for place, move in session.hands[0].moves:
        if not move.learner:
            assert found.worth(place) == pytest.approx(long.worth(place))


class Forgetless(Answers):
    """The same policy, of which nobody knows that it forgets."""

    def __init__(self, policy: Policy, game: Game) -> None:
        super().__init__(policy, game)
        self.memory = "all"


def test_words():
    assert points(-0.0) == "0"
    assert points(1 / 3) == "0.333"
    game = make("kuhn")
    session = play(game, load_policy("script:always_pass", game), lambda s, d: d.legal[1], hands=1)
    assert outcome(session.rounds[0], True).startswith("Hand 1: you bet; they check, fold. You get 1, they get -1.")


def test_what_is_left_of_a_large_instance_is_judged_from_where_it_can_be_held():
    """A pool of 4, 4 and 4: 125 demands, and an answer to each of them in every round."""
    game = make("items", {"instances": 1, "instance_seed": 4})
    session = play(game, load_policy("script:tit_for_tat", game), lambda s, d: "2 2 2", key=(1,))
    found = debrief(session)
    assert [j.worth is not None for j in found.hands[0].judged] == [False, False, True, True]
    assert found.best is None
    assert "too large to hold as a tree" in " ".join(summary(game, found))
    first, last = found.hands[0].judged[0], found.hands[0].judged[-1]
    assert first.now is not None
    values = session.hands[0].moves[1][1].decision.view.private[-1]
    assert first.now["2 2 2"] == 2 * sum(values)  # two thirds of 4 is 2, which leaves 2
    assert last.worth is not None
    assert max(last.worth.values()) == 2 * sum(values)  # what the last demand of 2 2 2 left to the policy, it takes
