"""Verdicts on the published claims: each of them from figures made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sepo.train.claims import CLAIMS, Outcome, Outcomes, judged
from sepo.train.seeds import Figure, Spread, paired, spread

NONE, BASE, ITEMS, SFT, CONSTANT, ROLLOUT = CLAIMS
JITTER = (-0.001, 0.0, 0.001)


def around(mean: float, width: float = 1.0, seeds: int = 3) -> dict[int, Figure]:
    """Three seeds about a mean, whose interval has a half-width of 0.0025 times ``width``."""
    return {seed: Figure(*3 * (mean + width * JITTER[seed],)) for seed in range(seeds)}


def arm(name, stage="train", *, recovered=None, credit="credited", start="sft", **figures) -> Outcome:
    named = {key.replace("_", ".", 1) if key.startswith("paper") else key: found for key, found in figures.items()}
    return Outcome(name, stage, start, credit, named, recovered or {})


def run(game: str, *arms: Outcome) -> Outcomes:
    return Outcomes(game, arms)


def kuhn(before: float, after: float, width: float = 1.0, exploitability: float = 0.1) -> Outcomes:
    return run(
        "kuhn",
        arm("base", "base", paper_e=around(0.6)),
        arm("sft", "sft", paper_e=around(before), exploitability=around(exploitability)),
        arm("sepo", paper_e=around(after, width), exploitability=around(0.002)),
    )


def j(base: float, sepo: float, width: float = 1.0, game: str = "ipd") -> Outcomes:
    # the seeds of both move together: paired, the difference hardly has a spread
    return run(game, arm("b", "base", paper_J=around(base, 400)), arm("sepo", paper_J=around(sepo, 400 * width)))


def ipd(base: float, sft: float, sepo: float, game: str = "ipd") -> Outcomes:
    return run(
        game,
        arm("base", "base", paper_e=around(base)),
        arm("sft", "sft", paper_e=around(sft)),
        arm("sepo", paper_e=around(sepo)),
    )


def items(value: float, nra: float) -> Outcomes:
    return run("items", arm("sepo", paper_J=around(value), nra=around(nra)))


def charged(credit: str, width: float = 1.0, **recovered: float) -> Outcomes:
    found = {kind: around(mean, width) for kind, mean in recovered.items()}
    return run("kuhn", arm("sepo"), arm(credit, credit=credit, recovered=found))


@pytest.mark.parametrize(
    ("claim", "figures", "verdict"),
    [
        (NONE, kuhn(before=0.3, after=0.0), "reproduced"),
        (NONE, kuhn(before=0.0, after=0.0), "not reproduced"),
        (NONE, kuhn(before=0.3, after=0.1), "not reproduced"),
        (NONE, kuhn(before=0.3, after=0.0, width=50), "not reproduced"),
        (NONE, kuhn(before=0.1, after=0.3), "reversed"),
        (NONE, ipd(0.3, 0.2, 0.0), "not tested here"),
        (BASE, j(base=0.4, sepo=0.5), "reproduced"),
        (BASE, j(base=0.4, sepo=0.4), "not reproduced"),
        (BASE, j(base=0.4, sepo=0.5, width=2), "not reproduced"),
        (BASE, j(base=0.4, sepo=0.3), "reversed"),
        (BASE, j(base=0.4, sepo=0.5, game="split"), "not tested here"),
        (ITEMS, items(2.0, 0.1), "reproduced"),
        (ITEMS, items(2.0, 0.001), "not reproduced"),
        (ITEMS, items(2.0, -0.1), "reversed"),
        (ITEMS, j(base=0.4, sepo=0.5), "not tested here"),
        (SFT, ipd(0.70, 0.83, 0.70), "reproduced"),
        (SFT, ipd(0.39, 6.77, 4.09, game="items"), "reproduced"),
        (SFT, ipd(0.86, 0.43, 0.31), "reversed"),
        (SFT, ipd(0.70, 0.83, 0.90), "reversed"),
        (SFT, ipd(0.70, 0.83, 0.83), "not reproduced"),
        (SFT, kuhn(0.3, 0.1), "not tested here"),
        (CONSTANT, charged("constant", e=0.0, c=0.0), "reproduced"),
        (CONSTANT, charged("constant", e=0.0, c=0.3), "reversed"),
        (CONSTANT, charged("constant", e=0.0, width=100), "not reproduced"),
        (CONSTANT, charged("rollout", e=0.0), "not tested here"),
        (ROLLOUT, charged("rollout", e=0.9, c=1.1), "reproduced"),
        (ROLLOUT, charged("rollout", e=0.005, c=0.01), "reversed"),
        (ROLLOUT, charged("rollout", e=-0.4), "reversed"),
        (ROLLOUT, charged("rollout", e=0.1, width=100), "not reproduced"),
        (ROLLOUT, charged("constant", e=0.0), "not tested here"),
    ],
)
def test_a_verdict_follows_from_the_figures(claim, figures, verdict):
    found = claim.judge(figures)
    assert found.verdict == verdict, found
    assert bool(found.rests) == (verdict != "not tested here")


def test_an_advantage_that_was_zero_before_training_is_said_to_show_nothing():
    assert "exploitable all the same" in NONE.judge(kuhn(0.0, 0.0)).said
    assert "exploitable" not in NONE.judge(kuhn(0.0, 0.0, exploitability=0.0)).said


@pytest.mark.parametrize(
    ("claim", "whole"),
    [
        (NONE, kuhn(0.3, 0.0)),
        (BASE, j(0.4, 0.5)),
        (ITEMS, items(2.0, 0.1)),
        (SFT, ipd(0.70, 0.83, 0.70)),
        (CONSTANT, charged("constant", e=0.0)),
        (ROLLOUT, charged("rollout", e=0.9)),
    ],
)
def test_one_seed_or_a_missing_arm_decides_nothing_and_what_would_is_said(claim, whole):
    def first(found):
        return {key: {0: seeds[0]} for key, seeds in found.items()}

    single = [Outcome(a.name, a.stage, a.start, a.credit, first(a.figures), first(a.recovered)) for a in whole.arms]
    for figures in (Outcomes(whole.game, single), Outcomes(whole.game, whole.arms[:-1])):
        found = claim.judge(figures)
        assert found.verdict == "not tested here"
        assert "would test it" in found.said
        assert not found.rests


def test_the_arm_that_corrects_must_start_from_what_it_corrects():
    figures = ipd(0.70, 0.83, 0.70)
    own = figures.arms[2]
    from_base = Outcome("sepo", "train", "base", own.credit, own.figures, own.recovered)
    assert SFT.judge(Outcomes("ipd", [*figures.arms[:2], from_base])).verdict == "not tested here"


def test_intervals_are_students_t_widened_by_the_audits_bounds():
    exact = spread(around(0.5))
    half = 4.302653 * 0.001 / np.sqrt(3)
    assert exact is not None
    assert (exact.low, exact.high) == pytest.approx((0.5 - half, 0.5 + half))
    bounded = spread({s: Figure(f.value, f.value - 0.02, f.value + 0.03) for s, f in around(0.5).items()})
    assert bounded is not None
    assert (bounded.low, bounded.high) == pytest.approx((0.5 - half - 0.02, 0.5 + half + 0.03))
    assert spread(around(0.5, seeds=1)) == Spread(0.499, None, None, {0: 0.499})
    assert spread({}) is None


def test_pairs_are_the_seeds_of_both_and_their_bounds_add_up():
    ours = {1: Figure(0.5, 0.4, 0.6), 2: Figure(0.7, 0.7, 0.7), 3: Figure(0.9, 0.9, 0.9)}
    theirs = {2: Figure(0.1, 0.0, 0.2), 1: Figure(0.2, 0.1, 0.5)}
    found = paired(ours, theirs)
    assert list(found) == [1, 2]
    assert found[1] == pytest.approx(Figure(0.3, -0.1, 0.5))
    assert found[2] == pytest.approx(Figure(0.6, 0.5, 0.7))


def test_seeds_that_agree_to_the_last_digit_are_no_difference():
    same = spread({0: Figure(*3 * (1e-17,)), 1: Figure(*3 * (1e-17,))})
    assert same is not None
    assert same.sign == 0


def test_one_seed_decides_nothing():
    alone = spread({4: Figure(0.5, 0.5, 0.5)})
    assert alone is not None
    assert (alone.mean, alone.low, alone.high) == (0.5, None, None)
    assert alone.sign == 0
    assert not alone.within(1.0)


def test_one_seed_has_the_bounds_of_its_audit_and_decides_nothing_all_the_same():
    alone = spread({4: Figure(0.5, 0.4, 0.7)})
    assert alone is not None
    assert alone.document()["interval"] == pytest.approx([0.4, 0.7])
    assert alone.sign == 0
    assert not alone.within(1.0)
    wide = Outcome("sepo", "train", "sft", "credited", {"paper.J": {0: Figure(2.0, 1.0, 3.0)}, "nra": {}}, {})
    assert ITEMS.judge(Outcomes("items", [wide])).verdict == "not tested here"


def test_every_claim_is_reported_with_its_published_figure_and_what_it_rests_on():
    found = judged(ipd(0.70, 0.83, 0.70))
    assert [c["claim"] for c in found] == [c.text for c in CLAIMS]
    assert all(c["published"] and c["behind"] and c["said"] for c in found)
    corrected = found[3]
    assert corrected["verdict"] == "reproduced"
    rise = corrected["rests"][0]
    assert rise["of"] == "paper.e of sft minus base"
    assert rise["mean"] == pytest.approx(0.13)
    assert rise["interval"] == pytest.approx([0.13, 0.13])
    assert rise["n"] == 3
