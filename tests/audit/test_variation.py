"""Audits over wordings and horizons: one document, and its variance taken apart as a textbook does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepo.audit.methods import Options
from sepo.audit.scorecard import by_set, scorecard
from sepo.audit.variation import Variation, spread, variations
from sepo.games.registry import make
from sepo.policies.script import ScriptPolicy
from tests.hidden import Hidden

RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
"""Six targets by four judges: P. Shrout and J. Fleiss, Psychological Bulletin 86, 1979, table 2."""
OPTIONS = Options(sets="sepo", adversaries=False)


class Moody(Hidden):
    """Plays by the wording alone."""

    def answer(self, decision):
        wording = "original" if decision.wording is None else decision.wording.name
        p = np.array([2.0 + len(wording) * (self.seed + 1), *[1.0] * (len(decision.legal) - 1)])
        return p / p.sum()


def test_the_analysis_of_variance_is_the_textbooks():
    found = spread(RATINGS)
    assert found.mean_squares == pytest.approx({"policy": 11.24, "wording": 32.49, "rest": 1.02}, abs=0.005)
    assert 1 - found.share_wording == pytest.approx(0.29, abs=0.005)  # ICC(2,1)
    assert found.mean == pytest.approx(RATINGS.mean())


def test_shares_where_only_one_thing_varies():
    alike, apart = np.array([[1.0, 2.0, 4.0]] * 3), np.array([[1.0] * 3, [2.0] * 3, [4.0] * 3])
    assert spread(alike)[1:4] == pytest.approx((np.std([1, 2, 4], ddof=1), 0, 1))
    assert spread(apart)[1:4] == pytest.approx((0, np.std([1, 2, 4], ddof=1), 0))
    assert spread(np.full((3, 2), 0.1 + 0.2))[1:4] == (0.0, 0.0, None)
    crossed = spread(np.array([[0.0, 1.0], [1.0, 0.0]]))  # a wording that helps the one and harms the other is wording
    assert crossed[1:4] == pytest.approx((0.5**0.5, 0, 1))


def test_one_policy_has_a_spread_and_no_share():
    assert spread(np.array([[1.0, 2.0, 4.0]])) == (pytest.approx(7 / 3), np.std([1, 2, 4], ddof=1), None, None, None)


@given(
    effects=st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    shift=st.floats(-9, 9),
    scale=st.floats(0.1, 9),
)
def test_the_share_is_a_share_and_knows_no_unit_or_order(effects, shift, scale):
    y = np.add.outer(effects[:2], effects[1:]) + np.array([[0.3, 0, 0], [0, 0, 0.1]])
    found = spread(y)
    assert 0 <= found.share_wording <= 1
    assert spread(shift + scale * y).share_wording == pytest.approx(found.share_wording, abs=1e-6)
    assert spread(y[::-1, ::-1]).share_wording == pytest.approx(found.share_wording, abs=1e-9)
    assert spread(y).sd_wording ** 2 == pytest.approx(y.var(axis=1, ddof=1).mean())


def test_wordings_and_horizons_give_a_scorecard_each_and_a_spread_per_horizon():
    asked = [
        Variation(Moody(seed), [by_set(make("ipd", {"rounds": n}), "sepo")], n, w)
        for seed in (0, 1)
        for n in (1, 2)
        for w in ("original", "renamed")
    ]
    document = variations(asked, OPTIONS)
    assert document["schema"] == "sepo.variations/1"
    assert [(c["policy"], c["horizon"], c["wording"]) for c in document["scorecards"]] == [
        (v.policy.name, v.horizon, v.wording) for v in asked
    ]
    plain = scorecard(Moody(0), [make("ipd", {"rounds": 1})], OPTIONS)
    first = document["scorecards"][0]
    assert {k: v for k, v in first.items() if k not in ("horizon", "wording")} == plain
    assert list(first)[-1] == "games"
    assert [(s["game"], s["horizon"], s["policies"]) for s in document["spread"]] == [
        ("ipd", 1, ["hidden 0", "hidden 1"]),
        ("ipd", 2, ["hidden 0", "hidden 1"]),
    ]
    cells = [
        [
            next(
                c["games"]["ipd"]["measures"]["sepo"]["J"]["value"]
                for c in document["scorecards"]
                if (c["policy"], c["horizon"], c["wording"]) == (f"hidden {seed}", 2, wording)
            )
            for wording in ("original", "renamed")
        ]
        for seed in (0, 1)
    ]
    assert document["spread"][1]["figures"]["sepo.J"] == spread(np.array(cells))._asdict()
    assert document["spread"][1]["figures"]["sepo.J"]["sd_wording"] > 0.01


def test_a_policy_that_does_not_read_has_no_spread_and_horizons_alone_none_to_tell_of():
    games = [by_set(make("kuhn"), "sepo")]
    document = variations([Variation(Hidden(1), games, None, w) for w in ("original", "renamed", "swapped")], OPTIONS)
    (found,) = document["spread"]
    assert {row["sd_wording"] for row in found["figures"].values()} == {0.0}
    assert "horizon" not in found
    script = ScriptPolicy("script:tit_for_tat", "tit_for_tat")
    asked = [Variation(script, [by_set(make("ipd", {"rounds": n}), "sepo")], n, None) for n in (2, 4)]
    document = variations(asked, OPTIONS)
    assert document["spread"] == []
    assert [c["games"]["ipd"]["rules"]["rounds"] for c in document["scorecards"]] == [2, 4]
    assert "wording" not in document["scorecards"][0]


def test_a_figure_that_some_scorecard_lacks_has_no_spread():
    both = [by_set(make("kuhn"), "both")]
    document = variations(
        [Variation(Hidden(1), both, None, w) for w in ("original", "renamed")], Options(adversaries=False)
    )
    names = set(document["spread"][0]["figures"])
    assert {"paper.J", "paper.c", "sepo.J", "sepo.e", "exploitability"} <= names
    assert not {"sepo.c", "sepo.x", "nra"} & names
