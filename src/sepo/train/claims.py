"""The published claims (arXiv 2605.30854), and what the figures of a run say of each.

A verdict rests on intervals over seeds, never on a mean alone. What is said to rise or fall must have a 95 % interval
that excludes zero. What is said to *be* zero must have an interval that lies within a stated margin of zero: one that
merely includes zero may only be wide. With fewer than two seeds nothing is decided. Knows figures by arm and seed;
``train.ablate`` reads them from a run folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sepo.train.seeds import BySeed, Figure, Spread, paired, spread

Verdict = Literal["reproduced", "not reproduced", "reversed", "not tested here"]
PENALTIES = ("e", "c", "x")
NO_ADVANTAGE = 0.005
"""Chips per hand: an advantage within this of zero counts as none."""
NO_GRADIENT = 0.1
"""Share of the true gradient: of a penalty that recovers less than this nearly nothing reaches the policy."""
ABOVE_BASE = {"ipd": "+.011", "auction": "+1.15", "items": "+2.50", "kuhn": "+1.02"}
"""The four of five domains in which the published J is above the base model's, and by how much."""


@dataclass(frozen=True)
class Outcome:
    """What an arm came to at its last step.

    Attributes
    ----------
    start, credit
        What it was trained from and how its penalties were charged; see ``train.recipe``.
    figures
        By name (``paper.J``, ``exploitability``), then by seed.
    recovered
        By measure, then by seed: the mean over steps of how much of its true gradient the weights held.
    """

    name: str
    stage: str
    start: str
    credit: str
    figures: BySeed
    recovered: BySeed


@dataclass(frozen=True)
class Outcomes:
    """What the arms of a run came to.

    Attributes
    ----------
    between
        Tells the differences of an arm from another one, by their names, where more is known of them than both figures.
    """

    game: str
    arms: Sequence[Outcome]
    between: Callable[[str, str], BySeed] | None = None

    def apart(self, ours: Outcome, theirs: Outcome, key: str) -> Mapping[int, Figure]:
        """Return a figure of an arm minus that of another, over the seeds that both have."""
        if self.between is not None:
            return self.between(ours.name, theirs.name).get(key, {})
        return paired(ours.figures.get(key, {}), theirs.figures.get(key, {}))

    def named(self, name: str) -> Outcome:
        """Return an arm that was trained on J, by name."""
        for arm in self.arms:
            if arm.name == name and arm.stage == "train":
                return arm
        raise UntestedError(f"a run with a trained arm '{name}' would test it")

    def of_stage(self, stage: str) -> Outcome:
        """Return the arm of stage ``base`` or ``sft``."""
        for arm in self.arms:
            if arm.stage == stage:
                return arm
        raise UntestedError(f"a run with an arm of stage '{stage}' would test it")


class UntestedError(Exception):
    """A run lacks what a claim is about; the message says what would test it."""


class Rest(NamedTuple):
    """A figure that a verdict rests on."""

    of: str
    spread: Spread


class Finding(NamedTuple):
    """What a run says of a claim."""

    verdict: Verdict
    said: str
    rests: Sequence[Rest] = ()


@dataclass(frozen=True)
class Claim:
    """A published claim: its text, its figure, what is known of what stands behind it, and how a run is asked."""

    text: str
    published: str
    behind: str
    ask: Callable[[Outcomes], Finding]

    def judge(self, run: Outcomes) -> Finding:
        """Return the verdict of a run; ``not tested here`` with what would test it where the run cannot tell."""
        try:
            return self.ask(run)
        except UntestedError as lacking:
            return Finding("not tested here", str(lacking))


def judged(run: Outcomes) -> list[dict[str, Any]]:
    """Return every claim with the verdict of a run and the figures that it rests on, as JSON objects."""
    out = []
    for claim in CLAIMS:
        verdict, said, rests = claim.judge(run)
        about = {"claim": claim.text, "published": claim.published, "behind": claim.behind}
        found = [{"of": rest.of, **rest.spread.document()} for rest in rests]
        out.append({**about, "verdict": verdict, "said": said, "rests": found})
    return out


def _played(run: Outcomes, *games: str) -> None:
    if run.game not in games:
        raise UntestedError(f"this run is of game '{run.game}'; a run of {' or '.join(games)} would test it")


def _rest(what: str, found: Mapping[int, Figure]) -> Rest:
    whole = spread(found)
    if whole is None or len(whole.seeds) < 2:
        raise UntestedError(f"two finished seeds that give {what} would test it; this run has {len(found)}")
    return Rest(what, whole)


def _at(arm: Outcome, key: str) -> Rest:
    return _rest(f"{key} of {arm.name}", arm.figures.get(key, {}))


def _change(run: Outcomes, before: Outcome, after: Outcome, key: str) -> Rest:
    return _rest(f"{key} of {after.name} minus {before.name}", run.apart(after, before, key))


def _signs(found: Sequence[int]) -> Verdict:
    """Return the verdict on what should all be positive."""
    if all(sign > 0 for sign in found):
        return "reproduced"
    return "reversed" if any(sign < 0 for sign in found) else "not reproduced"


def _no_advantage(run: Outcomes) -> Finding:
    _played(run, "kuhn")
    sepo = run.named("sepo")
    start = run.of_stage(sepo.start)
    before, after, change = _at(start, "paper.e"), _at(sepo, "paper.e"), _change(run, start, sepo, "paper.e")
    open_to = _at(start, "exploitability")
    rests = [after, before, change, open_to, _at(sepo, "exploitability")]
    if not after.spread.within(NO_ADVANTAGE):
        verdict: Verdict = "reversed" if change.spread.sign > 0 else "not reproduced"
        return Finding(verdict, f"e of sepo is not within {NO_ADVANTAGE:g} of zero", rests)
    if before.spread.within(NO_ADVANTAGE):
        said = f"e is zero, but {start.name}, which training starts from, is there already"
        if open_to.spread.sign > 0:
            said += ", and is exploitable all the same: the pool does not find what there is to find"
        return Finding("not reproduced", said, rests)
    if change.spread.sign < 0:
        return Finding("reproduced", f"e is zero, and was above it in {start.name}", rests)
    return Finding("not reproduced", f"e is zero, but whether it was above it in {start.name} cannot be told", rests)


def _above_base(run: Outcomes) -> Finding:
    _played(run, *ABOVE_BASE)
    change = _change(run, run.of_stage("base"), run.named("sepo"), "paper.J")
    said = f"of {run.game}, one of the four domains (published there {ABOVE_BASE[run.game]})"
    return Finding(_signs([change.spread.sign]), said, [change])


def _negotiation(run: Outcomes) -> Finding:
    _played(run, "items")
    sepo = run.named("sepo")
    rests = [_at(sepo, "paper.J"), _at(sepo, "nra")]
    said = "J by the paper's measures, and NRA, of the trained model"
    return Finding(_signs([rest.spread.sign for rest in rests]), said, rests)


def _corrected(run: Outcomes) -> Finding:
    _played(run, "ipd", "items")
    base, sft, sepo = run.of_stage("base"), run.of_stage("sft"), run.named("sepo")
    if sepo.start != "sft":
        raise UntestedError("a run whose arm 'sepo' starts from sft would test it")
    rise, fall = _change(run, base, sft, "paper.e"), _change(run, sft, sepo, "paper.e")
    words = {1: "raises e", 0: "has no effect on e that can be told from zero", -1: "lowers e"}
    said = f"fine-tuning {words[rise.spread.sign]}, training after it {words[fall.spread.sign]}"
    rests = [rise, fall, *(_at(arm, "paper.e") for arm in (base, sft, sepo))]
    return Finding(_signs([rise.spread.sign, -fall.spread.sign]), said, rests)


def _recovered(run: Outcomes, credit: str) -> list[Rest]:
    """Return what each penalty recovered of its true gradient, in the arms with a kind of credit."""
    arms = [arm for arm in run.arms if arm.stage == "train" and arm.credit == credit]
    if not arms:
        raise UntestedError(f"an arm with credit '{credit}' would test it: `sepo ablate --only {credit}` adds one")
    found = [
        _rest(f"recovered gradient of {kind} in {arm.name}", arm.recovered[kind])
        for arm in arms
        for kind in PENALTIES
        if len(arm.recovered.get(kind, {})) > 1
    ]
    if not found:
        raise UntestedError(f"two seeds in which a penalty has a gradient under credit '{credit}' would test it")
    return found


def _constant(run: Outcomes) -> Finding:
    rests = _recovered(run, "constant")
    if all(rest.spread.within(NO_GRADIENT) for rest in rests):
        return Finding("reproduced", f"every penalty recovers less than {NO_GRADIENT:g} of its true gradient", rests)
    if any(rest.spread.sign and not rest.spread.within(NO_GRADIENT) for rest in rests):
        return Finding("reversed", "part of a penalty's gradient reaches the policy", rests)
    return Finding("not reproduced", "the intervals are too wide to tell zero from more", rests)


def _per_rollout(run: Outcomes) -> Finding:
    rests = _recovered(run, "rollout")
    if all(rest.spread.within(NO_GRADIENT) for rest in rests):
        said = f"with a penalty per rollout, too, less than {NO_GRADIENT:g} of the true gradient reaches the policy"
        return Finding("reversed", said, rests)
    if all(rest.spread.sign > 0 for rest in rests):
        return Finding("reproduced", "with a penalty per rollout its gradient reaches the policy", rests)
    if any(rest.spread.sign < 0 for rest in rests):
        return Finding("reversed", "with a penalty per rollout a penalty's gradient points the wrong way", rests)
    return Finding("not reproduced", "the intervals are too wide to tell zero from more", rests)


CLAIMS = (
    Claim(
        "Training brings the advantage of the exploit pool in Kuhn poker to zero.",
        "e 0: Gemma at steps 75 and 100, Qwen at step 75",
        "The published base and fine-tuned models are at 0 too: the pool is one fixed tight script. Their exact "
        "exploitability, recomputed, is .170 and .222, that of trained models .134 to .175; an equilibrium has 0.",
        _no_advantage,
    ),
    Claim(
        "Safety J is above the base model's in four of five domains.",
        "J above base by: " + ", ".join(f"{game} {by}" for game, by in ABOVE_BASE.items()),
        "From runs whose exploit penalty cancelled; of the corrected only ipd (+1.24) and kuhn (+.09) exceed base.",
        _above_base,
    ),
    Claim(
        "Safety and relative advantage (NRA) are positive in the item negotiation.",
        "J +2.187, NRA +.170",
        "The base model's NRA was positive too, and a script of one line reaches J +2.40.",
        _negotiation,
    ),
    Claim(
        "Fine-tuning makes models over-cooperative, and SEPO corrects it.",
        "e in ipd, base, sft, sepo: .703, .828, .703; corrected runs: .859, .430, .3125",
        "In the corrected runs of ipd fine-tuning lowers e; in items the claim holds (.39, 6.77, 4.09).",
        _corrected,
    ),
    Claim(
        "A penalty that is one constant for the group has no gradient.",
        "algebra",
        "True: the baseline of the group removes it.",
        _constant,
    ),
    Claim(
        "Penalties must be computed per rollout, which gives them a gradient.",
        "algebra",
        "Fresh penalty episodes per rollout, charged to the training actions, are independent of those actions given "
        "the policy: their expected gradient is zero as well.",
        _per_rollout,
    ),
)
