"""Episodes that are written: what they say of J, and what their turns are credited with, by hand and in expectation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from sepo.audit.arena import ground_of
from sepo.audit.measures import KINDS, Term, gradient, measure, objective, terms
from sepo.games.base import Decision, Game, MeasureSet
from sepo.games.registry import make
from sepo.lm.generate import Draft
from sepo.lm.reasoned import Reply, asked
from sepo.solve.expand import expand
from sepo.solve.gradient import centred
from sepo.solve.tree import Floats, Tree
from sepo.train.credit import CreditRules
from sepo.train.objective import tangent
from sepo.train.rollouts import Credit, Manner, Played, Seen, Table, credit, play, seen_terms
from tests.small_games import Asked

MANNER = Manner(4)


class TableWriter:
    """Writes as a table has it: what the first number of a reply draws, or nothing legal where the table says so.

    It knows a decision by its chat, as a model does.
    """

    def __init__(self, rows: Mapping[str, tuple[Decision, Floats]]) -> None:
        self.rows = {str(asked(d.chat())): (d, p) for d, p in rows.values()}
        self.calls = 0

    def draft(self, chats: Sequence[Sequence[tuple[str, str]]], lots: Floats) -> list[Draft]:
        self.calls += 1
        out = []
        for chat, lot in zip(chats, lots, strict=True):
            decision, p = self.rows[str(list(chat))]
            which = int(np.searchsorted(np.cumsum(p), lot[0], side="right"))
            said = f"Because.\nACTION: {decision.words()[which]}" if which < len(p) else "I would rather not."
            out.append(Draft([1, 2], [3] * (which + 1), [-1.0] * (which + 1), Reply(said, True)))
        return out


def soft(tree: Tree, seed: int = 0) -> Floats:
    """Draw a policy."""
    raw = np.random.default_rng(seed).uniform(0.3, 1.0, len(tree.owner))
    by_key: dict[tuple[str, str], float] = {}
    for info in tree.infosets:  # both seats that ask the same question answer alike
        for action, value in zip(info.decision.legal, raw[info.entries], strict=True):
            by_key.setdefault((info.key, action), value)
    raw = np.array([by_key[i.key, a] for i in tree.infosets for a in i.decision.legal])
    out: Floats = raw / np.bincount(tree.owner, raw, len(tree.infosets))[tree.owner]
    return out


def rows(tree: Tree, policy: Floats, legal: float = 1.0) -> dict[str, tuple[Decision, Floats]]:
    return {i.key: (i.decision, legal * policy[i.entries]) for i in tree.infosets}


@pytest.fixture(scope="module")
def game() -> Game:
    return make("ipd", {"rounds": 2}, "sepo")


@pytest.fixture(scope="module")
def ground(game: Game) -> Tree:
    found = ground_of(game)
    assert isinstance(found, Tree)
    return found


def met(measures: MeasureSet) -> list[str]:
    return list(dict.fromkeys(o for pool in ("train", "exploiter", "collusive") for o in measures.pools[pool]))


def played(
    game: Game, tree: Tree, policy: Floats, groups: int, size: int, legal: float = 1.0
) -> dict[Table, list[Played]]:
    writer = TableWriter(rows(tree, policy, legal))
    return play(writer, game, met(game.measures("sepo")), range(groups), size, MANNER, ("test",))


def test_what_is_seen_are_the_terms_of_j(game: Game, ground: Tree):
    measures, policy = game.measures("sepo"), soft(ground)
    exact = terms(ground, measures, policy)
    seen = Seen(played(game, ground, policy, 400, 2), game.rounds)
    found = seen_terms(ground, measures, seen, measures.weights, 0.0)
    assert [(t.kind, t.opponent, t.seat, t.coefficient, t.share, t.active) for t in found] == [
        (t.kind, t.opponent, t.seat, t.coefficient, t.share, t.active) for t in exact
    ]
    for kind in KINDS:
        assert measure(found, kind) == pytest.approx(measure(exact, kind), abs=0.1)
    assert objective(found) == pytest.approx(objective(exact), abs=0.25)


def weights_of(tree: Tree, tables: Mapping[Table, Sequence[Played]], given: Credit, episodes: int) -> Floats:
    """Lay the credits of turns out over the entries, as the direct style's weights are."""
    place = {i.key: i for i in tree.infosets}
    out = np.zeros(len(tree.owner))
    rows = iter(given.turns)
    for played in tables.values():
        for p in played:
            for turn, a in zip(p.turns, next(rows), strict=True):
                info = place[turn.decision.key]
                which = turn.decision.words().index(turn.draft.reply.text.rpartition(": ")[2])
                out[info.entries.start + which] += a / episodes
    return out


@pytest.mark.parametrize("kuhn", [False, True])
def test_credited_turns_follow_the_gradient_of_j(kuhn: bool):
    game = make("kuhn", {}, "paper") if kuhn else make("ipd", {"rounds": 2}, "sepo")
    ground = ground_of(game)
    assert isinstance(ground, Tree)
    measures, policy = game.measures("paper" if kuhn else "sepo"), soft(ground, 1)
    groups, size = 300, 8
    opponents = met(measures)
    tables = play(TableWriter(rows(ground, policy)), game, opponents, range(groups), size, MANNER, ("gradient",))
    exact = terms(ground, measures, policy, exploiters=measures.pools["exploiter"])
    rules = CreditRules(estimator="sampled", scale="none", groups=groups, group_size=size)

    def cosine(found: Sequence[Term]) -> float:
        """Compare what episodes say of the gradient over logits with what the tree does."""
        given = credit(tables, found, rules)
        laid = weights_of(ground, tables, given, groups * size)
        true = policy * centred(ground, policy, gradient(policy, found))
        a, b = merge(ground, tangent(ground, policy, laid)), merge(ground, true)
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    assert cosine(exact) > 0.97
    assert cosine([t for t in exact if t.kind != "u"]) > 0.97


def merge(tree: Tree, vector: Floats) -> Floats:
    """Add up what stands at the same question of both seats."""
    out: dict[tuple[str, str], float] = {}
    for info in tree.infosets:
        for action, value in zip(info.decision.legal, vector[info.entries].tolist(), strict=True):
            out[info.key, action] = out.get((info.key, action), 0.0) + value
    return np.array(list(out.values()))


def test_an_opponent_that_ends_the_game_before_the_learner_moves_adds_nothing():
    tree = expand(Asked())
    tables = play(TableWriter(rows(tree, tree.uniform)), tree.game, ["out", "even"], range(20), 4, MANNER, ("asked",))
    found = terms(tree, tree.game.measures("sepo"), tree.uniform)
    given = credit(tables, found, CreditRules(estimator="sampled", groups=20, group_size=4))
    assert not any(len(turns) for turns in given.turns[:80])  # against the one who leaves
    assert any(turns.any() for turns in given.turns[80:])
    assert np.isfinite([(r.value, r.variance, r.advantage_share, r.gradient_share) for r in given.ledger]).all()


def test_advantages_are_those_reckoned_by_hand(game: Game, ground: Tree):
    measures, policy = game.measures("sepo"), soft(ground, 2)
    tables = played(game, ground, policy, 2, 3)
    found = seen_terms(ground, measures, Seen(tables, game.rounds), measures.weights, 0.0)
    given = iter(credit(tables, found, CreditRules(estimator="sampled", groups=2, group_size=3)).turns)
    by_hand: dict[Table, np.ndarray] = {}
    squares, count = 0.0, 0
    for table, episodes in tables.items():
        total = np.zeros((6, game.rounds))
        for t in [t for t in found if (t.opponent, t.seat) == table]:
            to_go = np.zeros((6, game.rounds))
            for row, p in enumerate(episodes):
                due = [sum(w * f.due.get(k, 0.0) for k, w in t.due.items()) for f in p.episode.fell]
                own = [i for i, f in enumerate(p.episode.fell) if f.own]
                to_go[row] = [sum(due[i:]) for i in own]
            credits = t.weight * to_go
            for row in range(6):
                others = [r for r in range(row // 3 * 3, row // 3 * 3 + 3) if r != row]
                above = credits[row] - credits[others].mean(axis=0)
                total[row] += above
                squares, count = squares + float(above @ above), count + len(above)
        by_hand[table] = total
    divisor = (squares / count) ** 0.5
    for table, episodes in tables.items():
        for row in range(len(episodes)):
            assert next(given) == pytest.approx(by_hand[table][row] / divisor)


def test_where_every_member_collects_the_same_nothing_is_learnt(game: Game, ground: Tree):
    pure = np.where(np.arange(len(ground.owner)) == ground.starts[ground.owner], 1.0, 0.0)
    tables = played(game, ground, pure, 2, 2)
    measures = game.measures("sepo")
    found = seen_terms(ground, measures, Seen(tables, game.rounds), measures.weights, 0.0)
    given = credit(tables, found, CreditRules(estimator="sampled", groups=2, group_size=2))
    kinds = {o for o, _ in tables if o in ("tit_for_tat", "grim_trigger", "always_cooperate")}
    assert kinds  # those that draw nothing
    index = 0
    for (name, _), episodes in tables.items():
        for _ in episodes:
            if name in kinds:
                assert given.turns[index] == pytest.approx(np.zeros(game.rounds))
            index += 1


@pytest.mark.parametrize(
    ("how", "low", "high"), [("credited", 0.99, 1.01), ("rollout", -0.1, 0.1), ("constant", -1e-12, 1e-12)]
)
@pytest.mark.parametrize("name", ["ipd", "split"])
def test_the_ledger_says_what_reaches_the_policy(name: str, how: str, low: float, high: float):
    game = make(name, {"rounds": 2}, "sepo")
    ground = ground_of(game)
    assert isinstance(ground, Tree)
    measures, policy = game.measures("sepo"), soft(ground, 3)
    tables = played(game, ground, policy, 150, 4)
    found = seen_terms(ground, measures, Seen(tables, game.rounds), measures.weights, 0.0)
    rules = CreditRules(credit=how, estimator="sampled", scale="none", groups=150, group_size=4)  # type: ignore[arg-type]
    ledger = {row.kind: row for row in credit(tables, found, rules).ledger}
    pools = {kind: {t.opponent for t in found if t.kind == kind} for kind in ("u", "c", "x")}
    assert pools["x"] & pools["u"]  # penalties of the very opponents that are trained against
    for kind in ("e", "c", "x"):
        assert ledger[kind].value < 0
        assert low <= ledger[kind].recovered <= high
        assert ledger[kind].dead == (how == "constant")
    assert not ledger["u"].dead


def test_a_rollout_is_charged_with_episodes_of_another_group(game: Game, ground: Tree):
    policy, measures = soft(ground, 3), game.measures("sepo")
    tables = played(game, ground, policy, 2, 3)
    found = seen_terms(ground, measures, Seen(tables, game.rounds), measures.weights, 0.0)
    rules = CreditRules(credit="rollout", estimator="sampled", scale="none", groups=2, group_size=3)
    penalties = [t for t in found if t.kind != "u"]
    charge = sum(
        t.weight * np.array([sum(w * p.episode.plain.get(k, 0.0) for k, w in t.due.items()) for p in ps])
        for t in penalties
        for ps in (tables[t.opponent, t.seat],)
    )
    without = iter(credit(tables, [t for t in found if t.kind == "u"], rules).turns)
    with_ = iter(credit(tables, found, rules).turns)
    for (name, seat), episodes in tables.items():
        share = sum(t.share for t in found if t.kind == "u" and (t.opponent, t.seat) == (name, seat))
        for row in range(len(episodes)):
            other = (charge[3:] if row < 3 else charge[:3]) * share
            rest = [i for i in range(3) if i != row % 3]
            cost = other[row % 3] - other[rest].mean()
            assert next(with_) - next(without) == pytest.approx(np.full(game.rounds, cost))


def test_a_fault_costs_its_turn_and_no_other(game: Game, ground: Tree):
    policy = soft(ground, 4)
    tables = played(game, ground, policy, 3, 4, legal=0.6)
    faults = [turn.fault for ps in tables.values() for p in ps for turn in p.turns]
    assert 0.3 < faults.count("illegal") / len(faults) < 0.5
    rules = CreditRules(estimator="sampled", groups=3, group_size=4)
    measures = game.measures("sepo")
    found = seen_terms(ground, measures, Seen(tables, game.rounds), measures.weights, 0.0)
    without, with_ = credit(tables, found, rules).turns, credit(tables, found, rules, legality=0.5).turns
    index = 0
    for episodes in tables.values():
        wrong = np.array([[turn.fault is not None for turn in p.turns] for p in episodes], dtype=float)
        for row in range(len(episodes)):
            others = [r for r in range(row // 4 * 4, row // 4 * 4 + 4) if r != row]
            cost = -0.5 * (wrong[row] - wrong[others].mean(axis=0))
            assert with_[index] - without[index] == pytest.approx(cost)
            index += 1


def test_an_illegal_reply_plays_the_forfeit_or_anything(game: Game, ground: Tree):
    policy = soft(ground)
    tables = played(game, ground, policy, 40, 1, legal=0.0)
    for (_, seat), episodes in tables.items():
        for p in episodes:
            for turn in p.turns:
                assert turn.fault == "illegal"
            assert p.episode.plain[f"play {seat} {game.bucket(game.forfeit(p.turns[0].decision))}"] == game.rounds
    anything = play(
        TableWriter(rows(ground, policy, 0.0)), game, ["tit_for_tat"], range(40), 1, Manner(4, "random"), ("test",)
    )
    made = [p.episode.plain for ps in anything.values() for p in ps]
    assert len({tuple(sorted(k for k in plain if k.startswith("play"))) for plain in made}) > 1


def test_a_turn_does_not_depend_on_the_company(game: Game, ground: Tree):
    """As many processes as there may be: each plays its groups as one process would."""
    policy = soft(ground, 5)
    writer = TableWriter(rows(ground, policy))
    names = met(game.measures("sepo"))
    whole = play(writer, game, names, range(4), 2, MANNER, ("k", 1))
    half = play(writer, game, names[1:3], range(2, 4), 2, MANNER, ("k", 1))
    for table, episodes in half.items():
        assert [(p.turns, p.episode.fell) for p in episodes] == [
            (p.turns, p.episode.fell) for p in whole[table] if p.episode.cluster >= 2
        ]


def test_a_group_shares_its_cards_and_coins():
    game = make("kuhn", {}, "sepo")
    ground = ground_of(game)
    assert isinstance(ground, Tree)
    tables = play(TableWriter(rows(ground, soft(ground))), game, ["uniform"], range(20), 3, MANNER, ("cards",))
    for episodes in tables.values():
        for group in range(20):
            first = {p.turns[0].decision.key.split(":")[0] for p in episodes[3 * group : 3 * group + 3]}
            assert len(first) == 1  # the card held
