"""The arrays of a tree, on Kuhn poker and on a game that uses the whole contract; and broken games."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sepo.errors import ContractError
from sepo.games.base import CHANCE, TERMINAL, Game, State
from sepo.solve.expand import expand
from sepo.solve.response import best_response
from sepo.solve.tree import Tree
from tests.brute import due
from tests.small_games import Drawn, Node, Stage, Stakes, chooses, draws, leaf, matrix_game


def states(game: Game) -> list[State]:
    """Return every state breadth first, by the plainest loop there is."""
    out = [game.root()]
    for state in out:
        if state.actor == CHANCE:
            out += [state.child(label) for label, _ in state.chance()]
        elif state.actor != TERMINAL:
            out += [state.child(action) for action in state.legal()]
    return out


def test_nodes_are_the_states_breadth_first_with_their_features_from_both_seats(any_tree: Tree):
    found = states(any_tree.game)
    assert any_tree.nodes == len(found)
    assert any_tree.actor.tolist() == [s.actor for s in found]
    assert any_tree.round.tolist() == [s.round for s in found]
    for name in any_tree.names:
        for seat in (0, 1):
            expected = [0.0] + [due(any_tree.game, s, name, seat) for s in found[1:]]
            assert any_tree.feature(name, seat).tolist() == expected


def test_children_are_contiguous_and_point_back_to_their_parent(any_tree: Tree):
    for node in range(any_tree.nodes):
        children = np.arange(any_tree.first[node], any_tree.first[node] + any_tree.count[node])
        assert (any_tree.parent[children] == node).all()
    assert any_tree.count.sum() == any_tree.nodes - 1


def test_levels_cut_the_nodes_by_depth(any_tree: Tree):
    assert any_tree.levels[0] == slice(0, 1)
    assert all(a.stop == b.start for a, b in pairwise(any_tree.levels))
    assert any_tree.levels[-1].stop == any_tree.nodes
    for above, level in pairwise(any_tree.levels):
        parents = any_tree.parent[level]
        assert (parents >= above.start).all()
        assert (parents < above.stop).all()


def test_entries_belong_to_the_information_state_and_seat_that_moved(any_tree: Tree):
    for node in range(1, any_tree.nodes):
        above, entry = any_tree.parent[node], any_tree.entry[node]
        if any_tree.actor[above] == CHANCE:
            assert entry == -1
        else:
            infoset = any_tree.infosets[any_tree.infoset[above]]
            assert entry == infoset.start + node - any_tree.first[above]
            assert any_tree.seat[entry] == infoset.seat == any_tree.actor[above]
            assert any_tree.owner[entry] == any_tree.infoset[above]


def test_chance_probabilities_stand_at_the_nodes_chance_leads_to(any_tree: Tree):
    by_chance = any_tree.entry < 0
    assert (any_tree.chance[~by_chance] == 1).all()
    for node in np.flatnonzero(any_tree.actor == CHANCE):
        children = slice(any_tree.first[node], any_tree.first[node] + any_tree.count[node])
        assert any_tree.chance[children].sum() == pytest.approx(1, abs=1e-12)
        assert (any_tree.chance[children] > 0).all()


def test_the_index_finds_each_information_state_by_seat_and_key(any_tree: Tree):
    assert len(any_tree.index) == len(any_tree.infosets)
    for (seat, key), which in any_tree.index.items():
        assert (any_tree.infosets[which].seat, any_tree.infosets[which].key) == (seat, key)


def test_last_is_the_seats_own_latest_action_on_the_way(any_tree: Tree):
    for node in range(any_tree.nodes):
        for seat in (0, 1):
            above = node
            while above > 0 and not (any_tree.entry[above] >= 0 and any_tree.seat[any_tree.entry[above]] == seat):
                above = any_tree.parent[above]
            assert any_tree.last[seat, node] == (any_tree.entry[above] if above > 0 else -1)


def test_recall_levels_count_the_own_decisions_before(any_tree: Tree):
    depth = {which: d for d, level in enumerate(any_tree.recall_levels) for which in level}
    assert sorted(depth) == list(range(len(any_tree.infosets)))
    for which, before in enumerate(any_tree.previous):
        assert depth[which] == (depth[any_tree.owner[before]] + 1 if before >= 0 else 0)


def test_the_second_seat_does_not_see_the_first_ones_simultaneous_move(stakes_tree: Tree):
    here = np.flatnonzero(stakes_tree.infoset == stakes_tree.index[1, "1:"])
    assert len(here) == 4  # two stakes and two moves of seat 0, all the same to seat 1


def test_combine_weighs_features(stakes_tree: Tree):
    got = stakes_tree.combine(1, {"own": 2.0, "other": -0.5, "match": 3.0, "right": 0.0})
    own, other, match = (stakes_tree.feature(name, 1) for name in ("own", "other", "match"))
    np.testing.assert_allclose(got, 2 * own - 0.5 * other + 3 * match)


def test_join_seats_the_learner_and_the_other(stakes_tree: Tree):
    size = len(stakes_tree.seat)
    joined = stakes_tree.join(1, np.full(size, 7.0), np.full(size, 3.0))
    assert (joined == np.where(stakes_tree.seat == 1, 7.0, 3.0)).all()


SHOW = leaf(1.0)


def test_chance_that_sums_to_nine_tenths_is_refused_naming_game_and_state():
    with pytest.raises(ContractError, match=r"game 'drawn'.*chance.*'heads'.*0\.9"):
        expand(Drawn(draws(("heads", 0.5, SHOW), ("tails", 0.4, SHOW))))


@pytest.mark.parametrize("bad", [float("nan"), -0.2])
def test_chance_that_is_no_number_or_negative_is_refused(bad: float):
    with pytest.raises(ContractError, match=r"game 'drawn'.*chance"):
        expand(Drawn(draws(("heads", 1 - bad, SHOW), ("tails", bad, SHOW))))


def test_the_same_legal_action_twice_is_refused_naming_game_and_state():
    root = Node(0, "start", (("go", SHOW, 1.0), ("go", SHOW, 1.0)))
    with pytest.raises(ContractError, match=r"game 'drawn'.*twice.*'start'"):
        expand(Drawn(root))


def test_a_seat_without_a_legal_action_is_refused_naming_game_and_state():
    with pytest.raises(ContractError, match=r"game 'drawn'.*no legal action.*'stuck'"):
        expand(Drawn(chooses(0, "start", go=Node(1, "stuck"))))


def test_legal_actions_that_differ_within_a_state_are_refused_naming_game_and_state():
    root = draws(("a", 0.5, chooses(0, "same", x=SHOW, y=SHOW)), ("b", 0.5, chooses(0, "same", x=SHOW, z=SHOW)))
    with pytest.raises(ContractError, match=r"game 'drawn'.*legal actions differ.*'same'"):
        expand(Drawn(root))


def test_a_key_that_asks_both_seats_different_questions_is_refused_naming_game_and_state():
    root = chooses(0, "same", x=chooses(1, "same", p=SHOW, q=SHOW, r=SHOW), y=SHOW)
    with pytest.raises(ContractError, match=r"game 'drawn'.*legal actions differ.*'same'"):
        expand(Drawn(root))


def test_a_seat_that_forgets_its_own_move_is_refused_naming_game_and_state():
    again = chooses(0, "later", x=leaf(1), y=leaf(-1))
    tree = expand(Drawn(chooses(0, "first", left=again, right=again)))
    with pytest.raises(ContractError, match=r"game 'drawn'.*no perfect recall.*'later'"):
        best_response(tree, np.full(4, 0.5), 0, tree.feature("own", 0))


def test_a_seat_that_meets_its_state_twice_is_refused_naming_game_and_state():
    root = chooses(0, "again", stay=chooses(0, "again", stay=leaf(1), go=leaf(2)), go=leaf(-1))
    tree = expand(Drawn(root))
    with pytest.raises(ContractError, match=r"game 'drawn'.*no perfect recall.*'again'"):
        best_response(tree, np.full(2, 0.5), 0, tree.feature("own", 0))


def test_a_game_with_too_many_nodes_is_refused_naming_game_and_limit(kuhn: Game):
    with pytest.raises(ContractError, match=r"game 'kuhn' has more than 54 nodes"):
        expand(kuhn, max_nodes=54)
    assert expand(kuhn, max_nodes=55).nodes == 55


class OneFeatureShort(Stakes):
    name = "one_feature_short"

    def root(self) -> State:
        return ShortStage()


class ShortStage(Stage):
    def child(self, action: str) -> Stage:
        return ShortStage((*self.past, action))

    def features(self, learner: int) -> tuple[float, ...]:
        return super().features(learner)[:1]


def test_a_state_with_too_few_features_is_refused_naming_the_game():
    with pytest.raises(ContractError, match=r"game 'one_feature_short'.*features"):
        expand(OneFeatureShort())


def test_a_game_that_only_claims_to_be_zero_sum_is_refused_naming_game_and_state():
    with pytest.raises(ContractError, match=r"game 'drawn'.*zero-sum"):
        expand(Drawn(chooses(0, "start", a=leaf(1, 1), b=leaf(0))))


def test_a_matrix_game_has_one_information_state_a_seat():
    tree = expand(matrix_game([[1, -1, 0], [0, 2, 1]]))
    assert tree.nodes == 1 + 2 + 6
    assert [(i.key, i.decision.legal) for i in tree.infosets] == [
        ("row", ("r0", "r1")),
        ("column", ("c0", "c1", "c2")),
    ]
