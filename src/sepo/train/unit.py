"""One arm and seed of a run: the model is trained on the arm's games, audited in each, and its files are written.

Most runs have one game. Where a model learns several, each game's part is the run of that game: its own folder, metrics
and scorecards; the weights are the unit's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sepo.files import read_json, write_atomic, write_json, write_text
from sepo.lm.adapter import Weights, make_trainable, restore, save_model, snapshot
from sepo.lm.load import LanguageModel, load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Tree
from sepo.train import ranks
from sepo.train.auditor import Auditor, ScoredAuditor, copy
from sepo.train.card import model_card
from sepo.train.data import demonstrations, of_arena
from sepo.train.learner import Learner, load_state, save_state
from sepo.train.loop import Best, Course, Stage, loop, newest
from sepo.train.optimise import Optimiser
from sepo.train.part import Domain, Part, drawn, unit_folder
from sepo.train.recipe import Arm
from sepo.train.record import Metrics
from sepo.train.sft import Imitator
from sepo.train.written import WrittenAuditor

Tell = Callable[[Mapping[str, Any]], None]
"""Called at every step with name (what the run calls the game), game, arm, seed, stage, steps and the metrics line; and
once per finished part."""


class Unit:
    """One arm and seed of a run.

    Parameters
    ----------
    domains
        The games, whose recipes have the same model, seeds and arms.
    arm
        Its name.
    folder
        Of the whole run.
    """

    def __init__(self, domains: Sequence[Domain], arm: str, seed: int, folder: Path, tell: Tell) -> None:
        self.parts = [Part.of(domain, arm, seed) for domain in domains]
        self.recipe, self.arm, self.seed = self.parts[0].recipe, self.parts[0].arm, seed
        self.root, self.folder, self.tell = folder, unit_folder(folder, arm, seed), tell

    @property
    def key(self) -> tuple[str, int]:
        """What it is called by those that wait for it: its arm's name and its seed."""
        return self.arm.name, self.seed

    @property
    def finished(self) -> bool:
        """Whether all that it has to do is done."""
        return all(part.done.exists() for part in self.parts)

    @property
    def after(self) -> list[tuple[str, int]]:
        """The units that have to be finished before it begins, by their keys.

        A trained arm that starts from the fine-tuned one waits for that. The untrained model is audited once where
        audits draw nothing, and later seeds take the files of the first.
        """
        if self.arm.stage == "base" and not all(drawn(part.recipe, part.domain.ground) for part in self.parts):
            before = self.recipe.seeds.index(self.seed)
            return [(self.arm.name, seed) for seed in self.recipe.seeds[:before]]
        return [] if (start := self._start) is None else [(start.name, self.seed)]

    @property
    def _start(self) -> Arm | None:
        """The fine-tuned arm whose weights training starts from; None where it starts from the model as it comes."""
        if self.arm.stage != "train" or self.recipe.settings(self.arm).start != "sft":
            return None
        return next(arm for arm in self.recipe.arms if arm.stage == "sft")

    def run(self) -> None:
        """Train and audit, and say that it is finished; what was finished before is left as it is."""
        if ranks.of_first(not self.finished):
            self._base() if self.arm.stage == "base" else self._train()
            ranks.wait()
        if ranks.first():
            newest(self.folder).unlink(missing_ok=True)
            shutil.rmtree(self._kept, ignore_errors=True)
        for part in self.parts if ranks.first() else ():
            self.tell({**self._about(part), "stage": "done", "steps": 0, "line": {}})

    def _about(self, part: Part) -> dict[str, Any]:
        return {
            "name": part.domain.name,
            "game": part.recipe.game,
            "arm": self.arm.name,
            "seed": self.seed,
        }

    def _base(self) -> None:
        if not ranks.first():
            return
        left = [part for part in self.parts if not part.done.exists() and not _is_copied(part)]
        if not left:
            return
        lm = self._model("float32")
        with ranks.alone():
            for part in left:
                auditor = self._auditor(part, lm)
                line = auditor.write("last")
                for name in part.recipe.audit.cards[1:]:
                    auditor.write(name, same_as="last")
                Metrics(part.folder / "metrics.jsonl", 0, "base").add({"step": 0, "stage": "base", **line})
                write_json(part.done, {"steps": 0, "best_step": 0, "criterion": None})

    def _train(self) -> None:
        lm = self._model()
        if (start := self._start) is not None:
            state = load_state(unit_folder(self.root, start.name, self.seed) / "checkpoints" / "final.pt")
            restore(lm, state["weights"])
        if self.recipe.style == "reasoned":
            best, criteria = self._written(lm)
            last = best.weights
            lm = self._model()  # the trained one may be in pieces
        else:
            best, criteria = self._scored(lm)
            last = snapshot(lm)
        if not ranks.first():
            return
        with ranks.alone():
            self._finish(lm, last, best, criteria)

    def _scored(self, lm: LanguageModel) -> tuple[Best, Sequence[str | None]]:
        """Train in the direct style; return the best policy and what it was chosen by, game by game."""
        courses = self._courses(lm)
        best = loop(courses, self.folder, self.recipe.checkpoint_every)
        for part, course in zip(self.parts, courses, strict=True) if ranks.first() else ():
            if isinstance(course.stage, Optimiser) and (league := course.stage.opposition.league) is not None:
                for name, table in league.tables().items():
                    table.save(part.folder / "exploiters" / f"{name}.json")
        return best, [course.stage.criterion for course in courses]

    def _written(self, lm: LanguageModel) -> tuple[Best, Sequence[str | None]]:
        """Train in the reasoned style; return the last policy, since a few episodes a step choose no best one."""
        from sepo.train.reasoned import fine_tune, improve  # TRL takes seconds to import, and is an extra

        final = self.folder / "checkpoints" / "final.pt"
        if ranks.of_first(final.exists()):  # only audits are left
            weights = load_state(final)["weights"]
        else:
            train = fine_tune if self.arm.stage == "sft" else improve
            tellers = {id(part): self._teller(self._stage(part)) for part in self.parts}
            weights = train(lm, self.parts, self.seed, self._kept, lambda part, line: tellers[id(part)](line))
        return Best(tuple(p.schedule.steps for p in self.parts), 0.0, weights), [None] * len(self.parts)

    @property
    def _kept(self) -> Path:
        """Where TRL keeps its checkpoints while the unit is unfinished."""
        return self.folder / "checkpoints" / "trl"

    def _stage(self, part: Part) -> dict[str, Any]:
        return {**self._about(part), "stage": self.arm.stage, "steps": part.schedule.steps}

    def _courses(self, lm: LanguageModel) -> list[Course]:
        courses: list[Course] = []
        for part in self.parts:
            learner = Learner(
                self._policy(lm),
                part.domain.ground,
                part.schedule,
                part.domain.words,
                part.key,
                courses[0].learner if courses else None,
            )
            tell = self._teller(self._stage(part))
            courses.append(Course(learner, _stage(part, learner), part.folder, tell, part.sets))
        return courses

    def _teller(self, about: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], None]:
        return lambda line: self.tell({**about, "line": line})

    def _finish(self, lm: LanguageModel, last: Weights, best: Best, criteria: Sequence[str | None]) -> None:
        """Save the last policy and the best one, and audit them game by game, but for games that are done.

        ``criteria`` are what the best one was chosen by, one a game.
        """
        checkpoints = self.folder / "checkpoints"
        steps = tuple(part.schedule.steps for part in self.parts)
        save_state(checkpoints / "final.pt", {"step": sum(steps), "weights": last})
        for name, weights in (("best", best.weights), ("last", last)):
            restore(lm, weights)
            write_atomic(checkpoints / name, lambda made: save_model(lm, made))
        if lm.dtype != "float32":  # audits are over the base weights as they are shipped
            lm = self._model("float32")
        policies = {"last": last, "best": best.weights}
        left = [which for which, part in enumerate(self.parts) if not part.done.exists()]
        for which in left:
            part = self.parts[which]
            auditor = self._auditor(part, lm)
            for name in part.recipe.audit.cards:
                restore(lm, policies[name])
                auditor.write(name, same_as="last" if name == "best" and best.steps == steps else None)
            if which == left[-1]:
                self._describe(checkpoints / "last")
            step, criterion = best.steps[which], criteria[which]
            write_json(part.done, {"steps": part.schedule.steps, "best_step": step, "criterion": criterion})

    def _describe(self, model: Path) -> None:
        """Write the card of the last model, which has the audit of every game."""
        found = [read_json(part.folder / "scorecards" / "last.json", "scorecard") for part in self.parts]
        cards = [card["games"][part.recipe.game] for part, card in zip(self.parts, found, strict=True)]
        write_text(model / "README.md", model_card(self.parts, cards))

    def _auditor(self, part: Part, lm: LanguageModel) -> Auditor:
        return WrittenAuditor(part, lm) if self.recipe.style == "reasoned" else ScoredAuditor(part, self._policy(lm))

    def _model(self, dtype: Literal["float32"] | None = None) -> LanguageModel:
        section = self.recipe.model
        lm = load_model(section.policy, dtype or section.dtype, section.template)
        make_trainable(lm, section.adapter, section.rank, section.alpha, section.targets, self.seed, section.layers)
        return lm

    def _policy(self, lm: LanguageModel) -> DirectPolicy:
        return DirectPolicy(lm, name=self.recipe.model.policy, budget=self.recipe.model.budget)


def _is_copied(part: Part) -> bool:
    """Take the untrained model's files from an earlier seed, if they do not depend on one, and say if there is one.

    Whatever else is drawn by seed, episodes to be read and learning adversaries, is the earlier one's.
    """
    if drawn(part.recipe, part.domain.ground):
        return False
    for seed in part.recipe.seeds:
        there = unit_folder(part.domain.folder, part.arm.name, seed)
        if seed == part.seed or not (there / "done.json").exists():
            continue
        for name in part.recipe.audit.cards:
            copy(there, name, part.folder, name, f"{part.recipe.name}/{part.arm.name}/seed-{part.seed}", part.seed)
        for file in ("episodes.jsonl", "metrics.jsonl", "done.json"):
            if (there / file).exists():
                write_text(part.folder / file, (there / file).read_text(encoding="utf-8"))
        return True
    return False


def _stage(part: Part, learner: Learner) -> Stage:
    recipe, game, ground = part.recipe, part.domain.game, part.domain.ground
    if part.arm.stage == "sft":
        if isinstance(ground, Tree):
            shown = demonstrations(ground, game.measures("paper"), recipe.sft.examples, part.seed)
        else:
            shown = of_arena(ground, recipe.sft.examples, part.seed)
        return Imitator(learner, shown, recipe.sft.episodes, (recipe.name, "sft", part.seed))
    return Optimiser(learner, part.measures, recipe.settings(part.arm), part.key)
