"""Ablations: a recipe's ``sepo`` arm with one thing changed at a time, as the arms of one derived recipe.

``train.run`` does all the work, so the folder is a run folder like any other and is resumed like one. The derived
recipe keeps the name of the first, which is part of the key of all randomness: its ``sepo`` arm is the one that ``sepo
run`` trains, figure for figure. Which rows there are is told by ``train.rows``; what is left to say here
is how they compare: paired by seed, since arms of one seed start from the same model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sepo.audit.arena import SETS
from sepo.audit.measures import KINDS
from sepo.display import NONE, number
from sepo.errors import InputError
from sepo.files import write_json, write_text
from sepo.train.apart import Apart
from sepo.train.claims import Outcome, Outcomes, judged
from sepo.train.part import unit_folder
from sepo.train.recipe import Arm, Recipe, merged, parse_recipe
from sepo.train.record import read_metrics
from sepo.train.rows import BY_NAME, SEPO, LeftOut, Row, grid
from sepo.train.rules import apart, other_rules
from sepo.train.run import run
from sepo.train.seeds import Figure, spread
from sepo.train.summary import credit, header, rules_by_measures
from sepo.train.unit import Tell
from sepo.verbatim import code, text

SCHEMA = "sepo.ablation/1"
COLUMNS = (*KINDS, "J")


@dataclass(frozen=True)
class Plan:
    """The derived recipe, and what its rows are."""

    recipe: Recipe
    rows: Sequence[Row]
    left_out: Sequence[LeftOut] = field(default_factory=tuple)


def plan(recipe: Recipe, only: Sequence[str] = ()) -> Plan:
    """Derive the recipe whose arms are the ablations of ``recipe``.

    Parameters
    ----------
    only
        Rows by name; the whole grid unless given. ``sepo`` is always there, and so is the row that another one
        differs from in one setting.

    Raises
    ------
    InputError
        If the recipe has no trained arm called ``sepo``, its game cannot be trained on, or a row is unknown or cannot
        be had.
    """
    sepo = next((arm for arm in recipe.arms if arm.name == SEPO and arm.stage == "train"), None)
    if sepo is None:
        raise InputError(f"recipe '{recipe.name}' has no trained arm called '{SEPO}', and ablations are made of that")
    found, left = grid(recipe, sepo)
    if only:
        _check(only, found, left)
        wanted = {*only, *(row.reference for row in found if row.name in only)}
        rows, left = [row for row in found if row.name in wanted], []
    else:
        rows = [row for row in found if row.name not in BY_NAME]
        left = [row for row in left if row.name not in BY_NAME]
    arms = [arm for arm in recipe.arms if arm.stage != "train"]
    arms += [sepo, *(Arm(name=r.name, about=r.about, train=merged(sepo.train, r.change)) for r in rows)]
    document = recipe.model_dump(mode="json", by_alias=True)
    document["arms"] = [arm.model_dump(mode="json", by_alias=True) for arm in arms]
    return Plan(parse_recipe(document, f"the ablations of {recipe.name}"), rows, left)


def _check(only: Sequence[str], found: Sequence[Row], left: Sequence[LeftOut]) -> None:
    reasons = dict(left)
    names = [SEPO, *(row.name for row in found)]
    for name in only:
        if name in reasons:
            raise InputError(f"row '{name}' is left out: {reasons[name]}")
        if name not in names:
            raise InputError(f"unknown row '{name}': the rows are {', '.join(names)}")


def differences(recipe: Recipe, arm: str, reference: str) -> dict[str, tuple[Any, Any]]:
    """Return the training settings in which an arm differs from another, dotted: (there, here)."""
    there, here = (
        _flat(recipe.settings(next(a for a in recipe.arms if a.name == name)).model_dump(by_alias=True))
        for name in (reference, arm)
    )
    return {key: (there[key], value) for key, value in here.items() if there[key] != value}


def _flat(section: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in section.items():
        out |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return out


def ablate(
    planned: Plan, folder: Path, tell: Tell, *, resume: bool = False, command: str = "", workers: int = 1
) -> str:
    """Run the ablations, write ``ablation.json`` and ``ablation.md`` into the run folder, and return the latter.

    Parameters
    ----------
    workers
        As ``train.run.run`` takes it.

    Raises
    ------
    InputError
        If the folder holds a run and ``resume`` is not set, or holds one of another recipe or other rows.
    EndpointError
        As ``train.run.run`` does.
    """
    run(planned.recipe, folder, tell, resume=resume, command=command, workers=workers)
    found = document(planned, folder)
    page = markdown(found)
    write_json(folder / "ablation.json", found)
    write_text(folder / "ablation.md", page)
    return page


def outcomes(pairs: Apart) -> Outcomes:
    """Read what the finished arms and seeds of a run came to at their last steps."""
    recipe, folder, arms = pairs.recipe, pairs.folder, []
    for arm in recipe.arms:
        recovered: dict[str, dict[int, Figure]] = {}
        for seed in recipe.seeds:
            unit = unit_folder(folder, arm.name, seed)
            if not (unit / "done.json").exists():
                continue
            for kind, row in credit(read_metrics(unit / "metrics.jsonl")).items():
                recovered.setdefault(kind, {})[seed] = Figure(*3 * (row["recovered"],))
        section = recipe.settings(arm)
        figures = pairs.figures(arm.name)
        arms.append(Outcome(arm.name, arm.stage, section.start, section.credit, figures, recovered))
    return Outcomes(recipe.game, arms, pairs)


def document(planned: Plan, folder: Path) -> dict[str, Any]:
    """Return the ablation of a run folder: every arm's figures by seed, their differences, and the claims."""
    recipe = planned.recipe
    pairs = Apart(recipe, folder)
    found = outcomes(pairs)
    by_name = {arm.name: arm for arm in found.arms}
    rows = {row.name: row for row in planned.rows}
    arms = []
    for arm, outcome in zip(recipe.arms, found.arms, strict=True):
        reference = rows[arm.name].reference if arm.name in rows else None
        beside = by_name[reference] if reference not in (None, SEPO) else None
        changed = differences(recipe, arm.name, reference) if reference else {}
        arms.append(
            {
                "name": arm.name,
                "stage": arm.stage,
                "about": arm.about,
                "reference": reference,
                "changed": {key: list(values) for key, values in changed.items()},
                "measures": {
                    of: {key: _compared(f"{of}.{key}", found, outcome, by_name[SEPO], beside) for key in COLUMNS}
                    for of in SETS
                },
            }
        )
    return {
        "schema": SCHEMA,
        **header(recipe),
        "rules_by_measures": rules_by_measures(recipe),
        "arms": arms,
        "left_out": [row._asdict() for row in planned.left_out],
        "claims": judged(found),
        "over_clusters": pairs.over_clusters,
    }


def _compared(key: str, of: Outcomes, arm: Outcome, sepo: Outcome, beside: Outcome | None) -> dict[str, Any] | None:
    """Return a figure of an arm, and its paired difference from ``sepo`` and from another reference."""
    whole = spread(arm.figures.get(key, {}))
    if whole is None:
        return None
    out = whole.document()
    for name, other in (("difference", None if arm is sepo else sepo), ("from_reference", beside)):
        minus = None if other is None else spread(of.apart(arm, other, key))
        out[name] = None if minus is None else minus.document()
    return out


def markdown(found: Mapping[str, Any]) -> str:
    """Return an ablation's document as a page."""
    return f"# Ablations of {text(found['name'])}\n\n{tables(found)}"


def tables(found: Mapping[str, Any]) -> str:
    """Return what an ablation's page says below its title: figures, differences, what was left out, the claims."""
    seeds = ", ".join(map(str, found["seeds"]))
    rules = f" ({', '.join(f'{text(k)} {text(v)}' for k, v in found['rules'].items())})" if found["rules"] else ""
    clusters = ", within a seed over the clusters that both were audited on," if found.get("over_clusters") else ""
    lines = [
        f"Game {text(found['game'])}{rules}, {text(found['model'])}, seeds {seeds}; figures of the last step in "
        f"{text(found['unit'])}: "
        "the mean over seeds with its 95 % Student t interval, widened by what an audit leaves open. Differences are "
        f"paired by seed{clusters} and taken as arm minus the row it is set beside. Each interval stands for itself: "
        "of twenty, one is expected to miss. Where one seed finished, an interval is what its audit alone leaves open.",
    ]
    own = other_rules(found["game"], found["measures"], found["rules"], found.get("rules_by_measures"))
    for of in SETS:
        lines += ["", f"## Measures `{of}`", ""]
        lines += [f"By other rules: {text(apart(found['rules'], own[of]))}.", ""] if of in own else []
        lines += _table(["arm", *COLUMNS], [[code(a["name"]), *_cells(a, of, None)] for a in found["arms"]])
        lines += ["", f"Differences, `{of}`:", ""]
        body = []
        for arm in found["arms"]:
            for key, beside in (("difference", SEPO), ("from_reference", arm["reference"])):
                if any(f and f[key] for f in arm["measures"][of].values()):
                    changed = code(_changes(arm)) if beside == arm["reference"] and arm["changed"] else ""
                    body.append([f"{code(arm['name'])} - {code(beside)}", changed, *_cells(arm, of, key)])
        lines += _table(["difference", "changed", *COLUMNS], body)
    if found["left_out"]:
        lines += ["", "## Left out", "", *(f"- {code(row['name'])}: {text(row['why'])}" for row in found["left_out"])]
    lines += ["", "## Claims", "", "Of arXiv 2605.30854; a verdict is this run's alone."]
    for claim in found["claims"]:
        lines += ["", f"### {claim['claim']}", "", f"Published: {claim['published']}. {claim['behind']}", ""]
        lines += [f"**{claim['verdict']}**: {claim['said']}.", *([""] if claim["rests"] else [])]
        lines += [f"- {rest['of']}: {_cell(rest)}" for rest in claim["rests"]]
    return "\n".join(lines) + "\n"


def _changes(arm: Mapping[str, Any]) -> str:
    """Return what an arm changes of its reference; a weight that is null there is the measure set's own."""
    return "; ".join(f"{k} {'default' if a is None else a} -> {b}" for k, (a, b) in arm["changed"].items())


def _cells(arm: Mapping[str, Any], of: str, key: str | None) -> list[str]:
    found = [arm["measures"][of][column] for column in COLUMNS]
    return [_cell(f if key is None or f is None else f[key]) for f in found]


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return NONE
    mean, *ends = (number(value) for value in (found["mean"], *(found["interval"] or ())))
    return f"{mean} [{', '.join(ends)}]" if ends else mean


def _table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    numbers = len(COLUMNS)
    rule = "| " + " | ".join(["---"] * (len(heads) - numbers) + ["---:"] * numbers) + " |"
    return ["| " + " | ".join(heads) + " |", rule, *("| " + " | ".join(row) + " |" for row in body)]
