"""One training step of the Iterated Prisoner's Dilemma by its recipe, against TRL's ``GRPOTrainer``; and its profile.

Ours is the training of ``recipes/ipd.yaml`` itself, from its fine-tuned model on: ``train.loop`` with everything it
does, records and checkpoints too. The figure is the mean over as many consecutive steps as lie between two targets of
mirror descent, so that the target and the asking before it are counted at their frequency.

TRL trains the same LoRA adapter of the same model, in the same precision, on as many decisions as the episodes of our
step have: it samples replies to each, has the episode played out for its reward (J's return-to-go, from the same
trees) and updates; see ``grpo`` for its conditions. It gets a sampled return a reply, where our step has exact values
of all actions. It takes minutes for all those decisions, so it is timed on a few and scaled linearly: on one decision
of each round, since prompts grow by the round and every episode has one decision a round.

Scaled to what? To *one reply a decision*, the sampled episodes themselves, as in ``training_step``. And to *a group of
replies a decision*, which GRPO needs: its advantage compares replies to one prompt, and episodes that part after the
first rounds ask most of their prompts once. Two are the fewest that ``GRPOTrainer`` takes, four are the published
method's. All come from one measurement and are reported.

The profile is of our timed steps: what share of them is not the model's own work over distinct tokens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch

from sepo.audit.arena import Ground, Meeting, ground_of
from sepo.audit.measures import Term
from sepo.audit.sweep import by_meeting, weight
from sepo.errors import InputError
from sepo.games.base import TERMINAL
from sepo.games.registry import make
from sepo.keys import generator
from sepo.lm.adapter import make_trainable
from sepo.lm.load import LanguageModel, load_model
from sepo.lm.trie import Plan
from sepo.play.rollout import rollout
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Floats, Tree
from sepo.train import asking
from sepo.train import loop as step_loop
from sepo.train.data import of_arena
from sepo.train.direct import Scorer
from sepo.train.learner import Learner
from sepo.train.optimise import Optimiser
from sepo.train.recipe import Recipe, load_recipe
from sepo.train.record import Metrics
from sepo.train.sft import Imitator
from sepo.train.target import Target

from .grpo import Grpo, grpo_step, version
from .stopwatch import Part, Stopwatch
from .timing import Comparison, Profile, Say, Way

NAME = "ipd_step"
RECIPE = Path(__file__).parents[1] / "recipes" / "ipd.yaml"
LEAST_STEPS = 8
"""Steps over which a time is a mean, at least."""
FEWEST = 2
"""Replies of TRL to one prompt, where it refuses fewer."""
GROUP = 4
"""Replies of TRL to one prompt, as in the published method."""
BATCH = 8
KEY = ("bench", NAME)
MODEL = ("forward", "forward without gradient", "backward", "optimiser")
"""Parts of a step that are the model's own work; the second is the asking before a new target."""


class Enough(Exception):  # noqa: N818  # it is no error
    """Ends the loop after the steps that are timed."""


class Training:
    """A recipe's training in the direct style, from its fine-tuned model on: some steps at a time.

    Raises
    ------
    InputError
        If the recipe's game is held whole: its steps score every decision, as in ``training_step``.
    """

    def __init__(self, recipe: Recipe, folder: Path, say: Say) -> None:
        arm = next(a for a in recipe.arms if a.stage == "train")
        self.recipe, self.folder = recipe, folder
        self.settings = recipe.settings(arm)
        self.steps = self.settings.mirror.projections * -(-LEAST_STEPS // self.settings.mirror.projections)
        game = make(recipe.game, recipe.rules, recipe.measures)
        self.ground: Ground = ground_of(game)
        if isinstance(self.ground, Tree):
            raise InputError(f"benchmark '{NAME}': with these rules '{recipe.game}' is held whole, not met by episodes")
        section, seed = recipe.model, recipe.seeds[0]
        lm = model_of(recipe)
        make_trainable(lm, section.adapter, section.rank, section.alpha, section.targets, seed, section.layers)
        policy = DirectPolicy(lm, section.policy, budget=section.budget)
        say(f"{NAME}: fine-tuning for {recipe.sft.steps} steps")
        tuned = Learner(policy, self.ground, recipe.sft)
        shown = of_arena(self.ground, recipe.sft.examples, seed)
        imitator = Imitator(tuned, shown, recipe.sft.episodes, (recipe.name, "sft", seed))
        course = step_loop.Course(tuned, imitator, folder / "sft", lambda line: None)
        step_loop.loop([course], folder / "sft", recipe.checkpoint_every)
        self.learner = Learner(policy, self.ground, self.settings)
        measures = game.measures(recipe.measure_name(arm))
        self.stage = Optimiser(self.learner, measures, self.settings, (recipe.name, arm.name, seed))
        self.turns: list[dict[str, float]] = []
        self.asked: list[list[int]] = []

    @property
    def name(self) -> str:
        """How a step is taken."""
        return f"sepo, {self.settings.update} on {self.settings.estimator} values"

    def run(self) -> float:
        """Take the next steps; return the seconds of one, on average. A schedule that is at its end starts again."""
        if self.learner.step + self.steps > self.settings.steps:
            self.learner.step = 0
        self.asked.append([])
        stopwatch = Stopwatch("rest")
        folder = self.folder / f"turn-{len(self.turns)}"
        started = perf_counter()
        with suppress(Enough), stopwatch.running(self.parts()):
            course = step_loop.Course(self.learner, self.stage, folder, self._count)
            step_loop.loop([course], folder, self.recipe.checkpoint_every)
        seconds = perf_counter() - started
        self.turns.append({part: spent / self.steps for part, spent in stopwatch.seconds.items()})
        return seconds / self.steps

    def _count(self, line: Mapping[str, Any]) -> None:
        self.asked[-1].append(int(line["asked"]))
        if len(self.asked[-1]) == self.steps:
            raise Enough

    def parts(self) -> list[Part]:
        """Return what is timed; what stands in several of these is the innermost one's."""

        def forward() -> str:
            return MODEL[0] if torch.is_grad_enabled() else MODEL[1]

        return [
            Part(Plan, "log_probs", forward),
            Part(torch.Tensor, "backward", MODEL[2]),
            Part(self.learner.optimiser, "step", MODEL[3]),
            Part(Scorer, "__init__", "tokens and plans"),
            Part(Optimiser, "wanted", "terms and sweeps"),
            Part(Optimiser, "advance", "terms and sweeps"),
            Part(asking, "walked", "episodes"),
            Part(Target, "renew", "mirror descent"),
            Part(Learner, "look", "reading scores"),
            Part(Learner, "update", "loss and clipping"),
            Part(Optimiser, "observe", "record"),
            Part(step_loop, "measured", "record"),
            Part(step_loop, "probes", "record"),
            Part(step_loop, "alarms", "record"),
            Part(Metrics, "add", "record"),
            Part(step_loop, "snapshot", "checkpoints"),
            Part(step_loop, "save_state", "checkpoints"),
            Part(Learner, "state", "checkpoints"),
        ]

    def profile(self) -> Profile:
        """Say where the time of a step went, the first turn, which warms up, left out."""
        turns = self.turns[1:]
        mean = {part: sum(t.get(part, 0.0) for t in turns) / len(turns) for t in turns for part in t}
        asked = [n for turn in self.asked[1:] for n in turn]
        return Profile(
            about=f"where a step's time goes, mean over {len(asked)} consecutive steps "
            f"of {sum(asked) / len(asked):.0f} distinct decisions",
            groups={
                "model": {part: s for part, s in mean.items() if part in MODEL},
                "other": {part: s for part, s in mean.items() if part not in MODEL},
            },
        )


class Met(NamedTuple):
    """A decision of the learner in an episode: the meeting, counted among those of J, and the node of its tree."""

    meeting: int
    node: int


class Episodes:
    """Episodes of a step, each decision by itself; and TRL's reward, which plays them out.

    Parameters
    ----------
    learner : (entries,)
        The policy that plays, before and after a decision.
    """

    __name__ = "return_to_go"

    def __init__(self, found: Sequence[Term], learner: Floats) -> None:
        shared = by_meeting(found)
        self.meetings: list[Meeting] = list(shared)
        self.weights = np.array([weight(terms) for terms in shared.values()])
        self.profiles = [m.profile(learner) for m in self.meetings]
        self.due = [
            np.sum([t.weight * m.tree.combine(t.seat, t.due) for t in terms], axis=0) for m, terms in shared.items()
        ]
        self.worst = min(float(due.min()) for due in self.due) * self.meetings[0].tree.game.rounds
        self.rng = generator(*KEY, "trl")

    def play(self, episodes: int) -> list[list[Met]]:
        """Play episodes against opponents drawn by the weights of their terms in J; return their own decisions."""
        rng = generator(*KEY, "episodes")
        out = []
        for which in rng.choice(len(self.meetings), episodes, p=self.weights / self.weights.sum()).tolist():
            meeting = self.meetings[which]
            tree = meeting.tree
            moves = rollout(tree, self.profiles[which], rng.random((1, len(tree.levels) - 1))).moves[0]
            moves = moves[moves >= 0]
            moves = moves[tree.entry[moves] >= 0]
            own = moves[meeting.at[tree.entry[moves]] >= 0]
            out.append([Met(which, int(node)) for node in tree.parent[own]])
        return out

    def prompt(self, met: Met) -> list[dict[str, str]]:
        """Return what the model is asked."""
        tree = self.meetings[met.meeting].tree
        return [turn._asdict() for turn in tree.infosets[tree.infoset[met.node]].decision.chat()]

    def __call__(self, completions: list[Any], node: list[int], meeting: list[int], **_: Any) -> list[float]:
        """Return J's return-to-go after each completion; an illegal reply costs the most there is to lose."""
        return [self.collected(c[0]["content"], Met(m, n)) for c, n, m in zip(completions, node, meeting, strict=True)]

    def collected(self, reply: str, met: Met) -> float:
        """Play one episode out."""
        tree, profile, due = self.meetings[met.meeting].tree, self.profiles[met.meeting], self.due[met.meeting]
        words = tree.infosets[tree.infoset[met.node]].decision.words()
        if reply.strip() not in words:
            return self.worst
        move = int(tree.first[met.node]) + words.index(reply.strip())
        total = float(due[move])
        while tree.actor[node := tree.child[move]] != TERMINAL:
            moves = tree.first[node] + np.arange(tree.count[node])
            chances = np.where(tree.entry[moves] >= 0, profile[tree.entry[moves]], tree.chance[moves])
            move = int(self.rng.choice(moves, p=chances))
            total += float(due[move])
        return total


def model_of(recipe: Recipe) -> LanguageModel:
    """Load the model of a recipe, in the precision in which it is trained."""
    return load_model(recipe.model.policy, recipe.model.dtype, recipe.model.template)


def settings_of(training: Training, decisions: int) -> Grpo:
    """Return a step of TRL's trainer on some decisions, each a group: what the recipe trains, as it trains it."""
    section, learner = training.recipe.model, training.learner
    questions = [learner.policy.question(d) for d in learner.decisions[:2]]
    return Grpo(
        completions=GROUP * decisions,
        group=GROUP,
        batch=BATCH,
        new_tokens=max(len(reply) for q in questions for reply in q.replies),
        rank=section.rank,
        alpha=section.alpha,
        learning_rate=training.settings.learning_rate,
        shuffle=False,
        targets=section.targets,
        layers=section.layers,
    )


def ways_of(step: Callable[[], float], settings: Grpo, decisions: int) -> list[Way]:
    """Return TRL's step, measured once a turn, as several: scaled to a reply a decision, and to groups of replies."""
    trl = version(NAME)
    replies = settings.completions
    work = {"own decisions": decisions, "replies measured": replies, "new tokens at most": settings.new_tokens}
    taken = [0.0]

    def measured() -> float:
        taken[0] = step()
        return taken[0]

    said = (
        f"measured on {replies} replies, {settings.group} to one decision of each round, scaled linearly to {decisions}"
    )
    single = Way(f"TRL {trl}, a reply a decision", measured, work, said, scale=decisions / replies)
    groups = [
        Way(
            f"TRL {trl}, {group} replies a decision",
            lambda: taken[0],
            work,
            f"the same measurement, scaled linearly to {group * decisions}",
            scale=group * decisions / replies,
        )
        for group in (FEWEST, GROUP)
    ]
    return [single, *groups]


def prepare(say: Say, recipe: Recipe | None = None) -> Comparison:
    """Fine-tune the recipe's model, load it again for TRL, and play the episodes whose decisions TRL is given.

    Raises
    ------
    InputError
        If TRL is not installed.
    """
    version(NAME)
    recipe = recipe or load_recipe(RECIPE)
    folder = tempfile.TemporaryDirectory(prefix="sepo-bench-")
    say(f"{NAME}: loading {recipe.model.policy} twice")
    training = Training(recipe, Path(folder.name), say)
    training.stage.wanted(0)  # asks about what is met, so that episodes are played as the model would
    known = training.learner.known
    episodes = Episodes(training.stage.opposition.terms(known), known)
    played = episodes.play(training.settings.episodes)
    timed = [played[number % len(played)][number] for number in range(len(played[0]))]
    rows = [{"prompt": episodes.prompt(met), **met._asdict()} for met in timed]
    settings = settings_of(training, len(timed))
    step = grpo_step(model_of(recipe), rows, episodes, settings, Path(folder.name) / "trl")

    def run() -> float:
        assert folder  # kept until the last step is taken
        return training.run()

    decisions = sum(map(len, played))
    work = {"episodes": len(played), "own decisions": decisions, "steps timed": training.steps}
    ours = Way(training.name, run, work, "mean of consecutive steps, records, checkpoints and targets included")
    theirs = ways_of(step, settings, decisions)
    section = recipe.model
    return Comparison(
        about=f"one step of {len(played)} {recipe.game} episodes: {section.policy}, LoRA rank {section.rank}, "
        f"{section.dtype}",
        ways=(ours, *theirs),
        ratios={f"step vs TRL, {way.name.partition(', ')[2]}": (way.name, ours.name) for way in theirs},
        repeats=3,
        profile=training.profile,
    )
