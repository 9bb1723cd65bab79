"""What a run is told by at a glance: the figure that matters most, where it began, and the arm that came furthest."""

from __future__ import annotations

from typing import NamedTuple

from sepo.report.read import ArmSummary, Estimate, Summary

START = ("base", "sft")
"""The arms that a run starts from."""


class Standing(NamedTuple):
    """A run at its last step.

    Attributes
    ----------
    key
        The figure: exploitability where an arm has it, else J as trained.
    start
        That figure of the arms in ``START``, None where there is none.
    furthest
        The other arm with the best mean of it, and its figure; None where no other arm has it.
    top
        The best there is; None where it is not known.
    """

    key: str
    start: tuple[Estimate | None, ...]
    furthest: tuple[str, Estimate] | None
    top: float | None

    @property
    def exploited(self) -> bool:
        """Whether the figure is exploitability, of which less is better."""
        return self.key == "exploitability"


def headline(summary: Summary) -> str:
    """Return the key of the figure that a run is told by: exploitability where an arm has it, else J as trained."""
    exploitable = any(arm.last.get("exploitability") for arm in summary.arms)
    return "exploitability" if exploitable else f"{summary.measures}.J"


def digits(key: str) -> int:
    """Return how many digits after the point such a figure is shown with."""
    return 4 if key == "exploitability" else 3


def standing(summary: Summary) -> Standing:
    """Return how a run stands at its last step."""
    key = headline(summary)
    exploited = key == "exploitability"
    found = {arm.name: last for arm in summary.arms if (last := arm.last.get(key)) is not None}
    others = [(name, last) for name, last in found.items() if name not in START]
    return Standing(
        key,
        tuple(found.get(name) for name in START),
        max(others, key=lambda other: -other[1].value if exploited else other[1].value, default=None),
        0.0 if exploited else summary.ceilings.get(summary.measures, {}).get("J"),
    )


def trained(summary: Summary) -> ArmSummary | None:
    """Return the arm that others are set beside: ``sepo``, or the last trained one; None where none was trained."""
    arms = [arm for arm in summary.arms if arm.stage == "train"]
    return next((arm for arm in arms if arm.name == "sepo"), arms[-1] if arms else None)
