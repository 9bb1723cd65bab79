"""A run: every arm and seed of a recipe, in a folder that can be resumed after a kill at any moment.

Units are (seed, arm) pairs in a fixed order. A unit is finished when its ``done.json`` stands; an
unfinished one continues from its newest checkpoint and repeats the same steps to the same figures, since all
randomness comes from keys and everything else a step depends on is in the checkpoint.

A joint run trains one model on several games. It is a folder of runs, one for each game, and the weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sepo.audit.scorecard import versions
from sepo.errors import InputError
from sepo.files import read_json, write_json, write_text
from sepo.lm.adapter import hold_to_whole
from sepo.lm.load import arithmetic
from sepo.train import optimise, ranks
from sepo.train.lock import locked
from sepo.train.part import Domain, Part, drawn
from sepo.train.recipe import Recipe, load_recipe
from sepo.train.record import environment
from sepo.train.summary import summarise
from sepo.train.unit import Tell, Unit
from sepo.train.workers import side_by_side, threads

STAGES = ("base", "sft", "train")
GAMES = "games.json"
"""In the folder of a joint run: what it calls its games, in their order."""


def run(
    recipe: Recipe, folder: Path, tell: Tell, *, resume: bool = False, command: str = "", workers: int = 1
) -> dict[str, Any]:
    """Run a recipe and return the summary, which is also written to ``folder``.

    Parameters
    ----------
    workers
        How many processes run units side by side; 1 is this one alone.

    Raises
    ------
    InputError
        If the folder holds a run and ``resume`` is not set, or holds one of another recipe, or the model has an adapter
        already, or another process is at the folder. A recipe that only adds seeds or arms is no other: what is
        finished stays, and the rest is run.
    EndpointError
        If a worker failed, or an endpoint.
    """
    within = {recipe.name: (recipe, folder)}
    return _run(within, folder, tell, resume=resume, command=command, workers=workers)[recipe.name]


def run_joint(
    recipes: Mapping[str, Recipe],
    folder: Path,
    tell: Tell,
    *,
    resume: bool = False,
    command: str = "",
    workers: int = 1,
) -> dict[str, dict[str, Any]]:
    """Run recipes of several games that one model is trained on, and return each one's summary by its name.

    Parameters
    ----------
    recipes
        By name, which is that of its folder in ``folder``. As ``train.joint`` makes them: the model, the seeds and the
        arms are the same in all.
    workers
        As ``run`` takes it.

    Raises
    ------
    InputError, EndpointError
        As ``run`` does.
    """
    within = {name: (recipe, folder / name) for name, recipe in recipes.items()}
    return _run(within, folder, tell, resume=resume, command=command, workers=workers)


def _run(
    within: Mapping[str, tuple[Recipe, Path]], folder: Path, tell: Tell, *, resume: bool, command: str, workers: int
) -> dict[str, dict[str, Any]]:
    if workers > 1 and ranks.size() > 1:
        raise InputError("several processes train one model here already: leave --workers away")
    first = next(iter(within.values()))[0]
    hold_to_whole(first.model.policy)
    _hold_to_installed(first)
    with locked(folder) if ranks.first() else nullcontext():
        if ranks.first():
            _hold_to_folder(within, folder, resume=resume)
        # a large game takes minutes to make: what can be refused without it was
        domains = [Domain.of(name, recipe, place) for name, (recipe, place) in within.items()]
        _hold_to_learnt(domains)
        if ranks.first():
            _lay_out(within, folder, resume=resume, command=command, workers=workers)
        ranks.wait()
        return _trained(domains, folder, tell, workers)


def _trained(domains: Sequence[Domain], folder: Path, tell: Tell, workers: int) -> dict[str, dict[str, Any]]:
    """Run every arm and seed, and return the summaries, which are also written."""
    first = domains[0].recipe
    arms = sorted(first.arms, key=lambda a: STAGES.index(a.stage))
    units = [Unit(domains, arm.name, seed, folder, tell) for seed in first.seeds for arm in arms]
    if workers > 1:
        side_by_side(units, folder, tell, workers)
    else:
        for unit in units:
            unit.run()
    summaries = {domain.name: summarise(domain.recipe, domain.folder) for domain in domains}
    for domain in domains if ranks.first() else ():
        write_json(domain.folder / "summary.json", summaries[domain.name])
    return summaries


def _hold_to_installed(recipe: Recipe) -> None:
    """Refuse a style that is trained by what is not installed."""
    if recipe.style == "reasoned" and any(arm.stage != "base" for arm in recipe.arms):
        from sepo.train.reasoned import hold_to_installed  # TRL takes seconds to import, and is an extra

        hold_to_installed(recipe.reasoned)


def _hold_to_learnt(domains: Sequence[Domain]) -> None:
    """Refuse what an arm cannot learn before anything is trained: that it cannot would be seen at its turn."""
    first = domains[0].recipe
    learning = [arm for arm in first.arms if arm.stage != "base"]
    if first.style == "reasoned" and learning:
        from sepo.train.reasoned import hold_to_learnt
    for arm in learning:
        parts = [Part.of(domain, arm.name, first.seeds[0]) for domain in domains]
        with _told(arm.name):
            if first.style == "reasoned":
                hold_to_learnt(parts)
            elif arm.stage == "train":
                for part in parts:
                    optimise.hold_to_learnt(part.domain.ground, part.measures, part.recipe.settings(part.arm))


@contextmanager
def _told(arm: str) -> Iterator[None]:
    """Name the arm in what is refused of it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"arm '{arm}': {error}") from None


def _hold_to_folder(within: Mapping[str, tuple[Recipe, Path]], folder: Path, *, resume: bool) -> dict[str, Begun]:
    """Refuse a folder that holds another run, or one that is not to go on; return what there is of its arms."""
    places = [place for _, place in within.values()]
    if folder not in places:
        _hold_to_games(list(within), folder)
    begun = _begun(places)
    for recipe, place in within.values():
        _kept(recipe, place, begun, resume=resume)
    return begun


def _lay_out(
    within: Mapping[str, tuple[Recipe, Path]], folder: Path, *, resume: bool, command: str, workers: int
) -> None:
    """Write what a run's folder holds before anything is trained, and remove what there is of arms that are others."""
    begun = _hold_to_folder(within, folder, resume=resume)  # where there are no locks it may have changed
    if folder not in [place for _, place in within.values()]:
        write_json(folder / GAMES, {"games": list(within)})
    for recipe, place in within.values():
        for arm in prepare(recipe, place, begun, resume=resume, command=command, workers=workers):
            for root in (folder, place):
                shutil.rmtree(root / "arms" / arm, ignore_errors=True)


def _hold_to_games(names: Sequence[str], folder: Path) -> None:
    """Refuse a joint run's folder that notes other games as those its weights are of.

    Their order counts, since a checkpoint has what each of them depends on in that order.
    """
    if (folder / "recipe.yaml").exists():
        raise InputError(f"'{folder}' holds a run of one game, and this one is of several: choose another --out")
    file = folder / GAMES
    if file.exists():
        there = read_json(file, "list of games").get("games")
    else:  # of a version that noted none: the games are known, not their order
        found = sorted(place.parent.name for place in folder.glob("*/recipe.yaml"))
        there = list(names) if found == sorted(names) else found
    if there and there != list(names):
        told = ", ".join(map(str, there)) if isinstance(there, list) else there
        raise InputError(
            f"'{folder}' holds a run of another recipe: its games are {told} there and {', '.join(names)} here: choose "
            "another --out"
        )


def _is_joint(folder: Path) -> bool:
    """Return whether a folder is that of a joint run, which notes its games, or has weights and none of its own."""
    if (folder / GAMES).exists():
        return True
    return (folder / "arms").exists() and not (folder / "recipe.yaml").exists() and any(folder.glob("*/recipe.yaml"))


class Begun(NamedTuple):
    """What there is of an arm in which a step was taken: its folders, and whether something of it is finished."""

    folders: Sequence[Path]
    finished: bool


def _begun(places: Sequence[Path]) -> dict[str, Begun]:
    """Return the arms of which steps were taken in a run's folders, one a game, by their names."""
    out: dict[str, Begun] = {}
    for arm in [found for place in places for found in sorted(place.glob("arms/*"))]:
        finished = any(arm.glob("seed-*/done.json"))
        if finished or any(file.stat().st_size for file in arm.glob("seed-*/metrics.jsonl")):
            before = out.get(arm.name, Begun([], finished=False))
            out[arm.name] = Begun([*before.folders, arm], finished or before.finished)
    return out


def prepare(
    recipe: Recipe,
    folder: Path,
    begun: Mapping[str, Begun],
    *,
    resume: bool,
    command: str,
    workers: int = 1,
) -> list[str]:
    """Lay the run folder out, or check that the one in which something was finished is of this recipe or a part.

    Returns
    -------
    list of str
        The arms that are other ones now, or none: of none of them was a step taken, and what there is of them goes.
    """
    file = folder / "recipe.yaml"
    there = _kept(recipe, folder, begun, resume=resume)
    now = environment(command, versions(model=True), arithmetic(), threads(workers), workers)
    document = recipe.model_dump(mode="json", by_alias=True)
    if there is not None:
        if there != recipe:
            write_text(file, yaml.safe_dump(document, sort_keys=False))
        _continued(folder / "environment.json", now)
        old, new = (_by_name(of)["arms"] for of in (there, recipe))
        return [name for name in old if old[name] != new.get(name)]
    write_text(file, yaml.safe_dump(document, sort_keys=False))
    write_json(folder / "environment.json", now)
    return []


def _kept(recipe: Recipe, folder: Path, begun: Mapping[str, Begun], *, resume: bool) -> Recipe | None:
    """Return the recipe of the run that a folder holds, if that may go on with this one; None where it holds none."""
    file = folder / "recipe.yaml"
    if _is_joint(folder):
        raise InputError(f"'{folder}' holds a run of several games, and this one is of one: choose another --out")
    if not file.exists() or not (folder / "arms").exists():
        return None
    if not resume:
        raise InputError(f"'{folder}' already holds a run: continue it with --resume, or choose another --out")
    there = load_recipe(file)
    if why := refusal(there, recipe, begun):
        raise InputError(f"'{folder}' holds a run of another recipe: {why}")
    return there


def _continued(file: Path, now: Mapping[str, Any]) -> None:
    """Add to a run's record how it goes on, where that is by another command, code or machine than the last time."""
    record = read_json(file, "environment") if file.exists() else {}
    further: list[Mapping[str, Any]] = record.get("continued", [])
    last = further[-1] if further else record
    if any(last.get(key) != value for key, value in now.items()):
        write_json(file, {**record, "continued": [*further, now]})


def refusal(there: Recipe, here: Recipe, begun: Mapping[str, Begun]) -> str | None:
    """Return why a run begun with one recipe cannot go on with another, and what to do; None where it can.

    Seeds and arms may be added, in any order, and other things said about them: no finished unit depends on that, but
    for the untrained model, which is audited with the first seed unless audits draw. An arm of which no step was taken
    may change or go. All else must be the same.
    """
    old, new = _by_name(there), _by_name(here)
    arms, ours = old.pop("arms"), new.pop("arms")
    del old["seeds"], new["seeds"]
    if differing := next(_differences(old, new), None):
        return f"{differing}: choose another --out"
    lacking = [f"seed {seed}" for seed in there.seeds if seed not in here.seeds]
    if lacking:
        return f"{lacking[0]} is there and not here: add it, or choose another --out"
    for name, of in [(name, of) for name, of in begun.items() if name in arms]:
        what = ", ".join(f"'{place}'" for place in of.folders)
        again = "" if of.finished else f", or delete what there is of the arm ({what})"
        if name not in ours:
            return f"arm '{name}' is there and not here: add it, or choose another --out{again}"
        if differing := next(_differences(arms[name], ours[name], f"arms.{name}"), None):
            return f"{differing}: choose another --out{again}"
    first, now = there.seeds[0], here.seeds[0]
    if first != now and any(arm.stage == "base" for arm in there.arms) and not drawn(here):
        return f"its base is audited with seed {first}, not {now}: put {first} first, or choose another --out"
    return None


def _by_name(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's document with its arms by name, and without what is said about them."""
    document = recipe.model_dump(mode="json", by_alias=True)
    arms = [(arm.pop("name"), arm) for arm in document["arms"]]
    return document | {"arms": {name: {k: v for k, v in arm.items() if k != "about"} for name, arm in arms}}


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield each setting in which two documents differ, dotted, with its values."""
    for key in {**there, **here}:
        where = f"{above}.{key}" if above else key
        old, new = (of.get(key) for of in (there, here))
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, where)
        elif old != new or (key in there) != (key in here):
            was, wanted = (repr(of[key]) if key in of else "not set" for of in (there, here))
            yield f"{where} is {was} there and {wanted} here"
