"""Training in the reasoned style, through TRL: ``SFTTrainer`` on demonstrated replies, ``GRPOTrainer`` on our episodes.

TRL has the loops, the optimiser steps, checkpoints, trackers and whatever divides a model over processes. It is told
nothing of games: a step's rows are the turns of the episodes of ``train.rollouts``, a prompt and a reply each, and each
row's advantage is the credit that its turn has there. GRPO's own grouping is set aside: a group of ours is the same
decision under the same cards and coins, not the same prompt.

The loss is ``dr_grpo``, the sum over a reply's tokens divided by a constant: its gradient is that of J up to a factor.
Other losses divide by the length of the reply, and so by what the policy chooses.

What is used of TRL beyond its documentation: ``rollout_func``, which is marked experimental, and advantages that a
subclass puts in place of those that the batch was made with. The tests hold TRL to both.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sepo.data.episodes import Example, demonstrate
from sepo.data.styles import check, row
from sepo.errors import InputError
from sepo.files import read_json
from sepo.games.wording import Wording, pick, reword
from sepo.keys import generator
from sepo.lm.adapter import snapshot, trainable
from sepo.lm.chat import encode
from sepo.lm.generate import Writer
from sepo.lm.load import LanguageModel
from sepo.train import ranks
from sepo.train.learner import rate
from sepo.train.logged import Noted, Place, Tell, order
from sepo.train.optimise import entropy_bonus
from sepo.train.part import Part
from sepo.train.player import Player
from sepo.train.rollouts import Drafts
from sepo.train.sections import ReasonedSection, Schedule
from sepo.train.sft import VALIDATE_EVERY
from sepo.train.vllm import VllmWriter

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL would tell its makers which trainer is used
try:
    from accelerate import DistributedType
    from datasets import Dataset
    from transformers import PrinterCallback
    from transformers.integrations import get_available_reporting_integrations
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer
    from trl.import_utils import is_vllm_available
except ImportError as error:
    raise InputError(f"the reasoned style is trained by TRL: pip install 'sepo[train]' ({error})") from None

GROUP = 2
"""GRPO wants groups of its own; ours are another matter."""
TOLD = "sepo"
"""What GRPO takes for the prompt of every row: episodes have prompts of their own."""
SHARED = {"sft": ("clip_norm", "betas"), "train": ("kl", "clip", "clip_norm", "betas")}
"""By stage, what the games of a model have in common: one loss and one optimiser."""
Tokens = dict[str, list[int]]
Weights = dict[str, torch.Tensor]


def hold_to_installed(section: ReasonedSection) -> None:
    """Refuse settings that want what is not installed, before hours are spent on what comes first.

    Raises
    ------
    InputError
        Naming the setting.
    """
    trackers = get_available_reporting_integrations()
    if missing := next((name for name in section.report_to if name not in {"all", "none", *trackers}), None):
        there = ", ".join(trackers) or "none"
        raise InputError(f"reasoned.report_to: '{missing}' is no tracker that is installed here; there are: {there}")
    if section.vllm != "off" and not is_vllm_available():
        raise InputError(f"reasoned.vllm '{section.vllm}' needs vLLM: pip install vllm, or set reasoned.vllm to off")


def hold_to_learnt(parts: Sequence[Part]) -> None:
    """Refuse what an arm cannot learn in the reasoned style; ``parts`` are its games'.

    Raises
    ------
    InputError
        Naming the setting.
    """
    first = parts[0]
    for name in SHARED[first.arm.stage]:
        if len(found := {str(getattr(part.schedule, name)) for part in parts}) > 1:
            where = f"{first.arm.stage}.{name}"
            raise InputError(
                f"in the reasoned style {where} is one for all games, not {' and '.join(sorted(found))}: "
                f"set {where} in the joint recipe"
            )
    if first.arm.stage == "sft":
        for part in parts:
            check(part.domain.game, "reasoned")
        if (examples := first.recipe.reasoned.examples) % ranks.size():
            raise InputError(f"reasoned.examples ({examples}) cannot be divided among {ranks.size()} processes")
        return
    for player in [Player(part) for part in parts]:
        if player.section.kl and first.recipe.model.adapter == "full":
            raise InputError(
                "in the reasoned style train.kl needs model.adapter 'lora': its reference is the adapter's start"
            )


def fine_tune(lm: LanguageModel, parts: Sequence[Part], seed: int, folder: Path, tell: Tell) -> Weights:
    """Fine-tune a model on demonstrated replies, the reasoning before the action included; return its trained weights.

    Each step's examples are drawn from one game's, and put in one of its wordings. Goes on from the newest checkpoint
    in ``folder`` if there is one.

    Raises
    ------
    InputError
        If a game's demonstrators give no reasons, or something else is as ``hold_to_learnt`` refuses it.
    """
    recipe, steps = parts[0].recipe, order(parts)
    section = recipe.reasoned
    if not steps:
        return snapshot(lm)
    hold_to_learnt(parts)
    train: list[Tokens] = []
    shown = [_Shown(lm, part, seed) for part in parts]
    held = {part.domain.name: Dataset.from_list(of.held()) for part, of in zip(parts, shown, strict=True)}
    for place in steps:
        train += shown[place.part].drawn(place.number)
    own = section.examples // ranks.size()
    size = max(n for n in range(1, min(section.batch, own) + 1) if own % n == 0)
    settings = _arguments(lm, section, folder, len(steps), parts[0].schedule, seed, recipe.checkpoint_every) | {
        "per_device_train_batch_size": size,
        "per_device_eval_batch_size": size,
        "gradient_accumulation_steps": own // size,
        "max_length": None,
        "eval_strategy": "steps",
        "eval_steps": VALIDATE_EVERY,
    }
    noted = Noted(parts, steps, "sft", tell)
    trainer = _InOrder(
        model=lm.model,
        args=_quietly(lambda: SFTConfig(**settings)),
        processing_class=lm.tokenizer,
        train_dataset=Dataset.from_list(train),
        eval_dataset=held,
        callbacks=[noted],
        optimizers=_optimiser(lm, parts, steps),
    )
    return _run(trainer, lm, noted, folder)


class _InOrder(SFTTrainer):  # type: ignore[misc]
    """Examples in the order in which they were drawn."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)


def improve(lm: LanguageModel, parts: Sequence[Part], seed: int, folder: Path, tell: Tell) -> Weights:
    """Train a model on J by GRPO; return its trained weights.

    Goes on from the newest checkpoint in ``folder`` if there is one.

    Raises
    ------
    InputError
        If the model is divided among processes and no vLLM writes, or something is as ``hold_to_learnt`` refuses it.
    """
    recipe, steps = parts[0].recipe, order(parts)
    section = recipe.reasoned
    if not steps:
        return snapshot(lm)
    hold_to_learnt(parts)
    players = [Player(part) for part in parts]
    first = players[0].section
    most = max(player.rows for player in players)
    batch = _divided(most, section.batch)
    here = batch.rows * batch.passes
    settings = _arguments(lm, section, folder, len(steps), first, seed, recipe.checkpoint_every) | {
        "per_device_train_batch_size": batch.rows,
        "gradient_accumulation_steps": batch.passes,
        "num_generations": GROUP,
        "max_completion_length": section.tokens,
        "shuffle_dataset": False,
        "loss_type": "dr_grpo",
        "scale_rewards": "none",
        "mask_truncated_completions": False,
        "epsilon": first.clip,
        "beta": first.kl * here / most,
        "entropy_coef": max(max(p.section.entropy.start, p.section.entropy.end) for p in players),  # steps set theirs
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "repetition_penalty": 1.0,
        **_vllm(section),
    }
    noted = Noted(parts, steps, "train", tell)
    trainer = _quietly(
        lambda: EpisodeTrainer(
            model=lm.model,
            args=GRPOConfig(**settings),
            processing_class=lm.tokenizer,
            train_dataset=Dataset.from_dict({"prompt": [TOLD] * (here * ranks.size() // GROUP)}),
            reward_funcs=[credited],
            rollout_func=lambda prompts, trainer: trainer.turns(len(prompts)),
            callbacks=[noted],
            optimizers=_optimiser(lm, parts, steps),
        )
    )
    if _divides(trainer) and section.vllm == "off":
        raise InputError(
            "a model that is divided among processes cannot write here: set reasoned.vllm to server or colocate"
        )
    trainer.prepare(lm, players, steps, noted, here / most)
    found = _run(trainer, lm, noted, folder)
    if "ref" in getattr(lm.model, "peft_config", {}):
        lm.model.delete_adapter("ref")
    return found


class EpisodeTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPO whose rows are the turns of played episodes, with the advantages that they are credited with."""

    _tag_names = ("sepo", "grpo")

    def prepare(
        self, lm: LanguageModel, players: Sequence[Player], steps: Sequence[Place], noted: Noted, filled: float
    ) -> None:
        """Say who plays, and how many rows there are to each that a turn may take: the loss is a mean over all."""
        self.lm, self.players, self.steps, self.noted, self.filled = lm, players, steps, noted, filled
        self.writer: Drafts = VllmWriter(self, lm) if self.use_vllm else Writer(lm)

    def turns(self, count: int) -> dict[str, list[Any]]:
        """Play a step's episodes and return their turns as ``count`` rows; rows that are left over are masked."""
        place = self.steps[self.state.global_step]
        self.entropy_coef = entropy_bonus(self.players[place.part].section, place.number)
        with evaluating(self.lm.model):
            step = self.players[place.part].play(self.writer, place.number)
        self.noted.line = step.line
        assert len(step.turns) <= count, "a step has at most as many turns as its trees are deep"
        blank = int(self.lm.tokenizer.eos_token_id)
        left = count - len(step.turns)
        self.credits = torch.tensor([*step.advantages.tolist(), *[0.0] * left])
        self.played = step
        return {
            "prompt_ids": [*(t.draft.prompt for t in step.turns), *[[blank]] * left],
            "completion_ids": [*(t.draft.tokens for t in step.turns), *[[blank]] * left],
            "logprobs": [*(t.draft.log_probs for t in step.turns), *[[0.0]] * left],
            "env_mask": [*([1] * len(t.draft.tokens) for t in step.turns), *[[0]] * left],
            "credit": self.credits.tolist(),
        }

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        out = super()._generate_and_score_completions(inputs)
        out["advantages"] = self.credits.to(out["advantages"]) * self.filled
        return out


def credited(completions: Sequence[Any], credit: Sequence[float], **_: Any) -> list[float]:
    """Return each row's credit as its reward, for GRPO's log; that of a row that is no turn is 0."""
    return list(credit)


class Batch(NamedTuple):
    """How a step's rows are divided on each process: so many passes of so many rows."""

    rows: int
    passes: int


def _divided(rows: int, most: int) -> Batch:
    """Divide rows into passes of at most so many each, an even number, as GRPO wants them; some may be left over."""
    size = max(GROUP, min(most, rows) // GROUP * GROUP)
    return Batch(size, -(-rows // size))


def _arguments(
    lm: LanguageModel, section: ReasonedSection, folder: Path, steps: int, schedule: Schedule, seed: int, every: int
) -> dict[str, Any]:
    """Return what both trainers are told."""
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "seed": seed,
        "data_seed": seed,
        "bf16": lm.dtype == "bfloat16",
        "use_cpu": lm.device.type == "cpu",
        "max_grad_norm": schedule.clip_norm,
        "gradient_checkpointing": section.gradient_checkpointing,
        "logging_steps": 1,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 1,
        "report_to": section.report_to or "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "remove_unused_columns": False,
    }


def _vllm(section: ReasonedSection) -> dict[str, Any]:
    if section.vllm == "off":
        return {"use_vllm": False}
    return {"use_vllm": True, "vllm_mode": section.vllm, "vllm_server_base_url": section.vllm_server}


def _optimiser(lm: LanguageModel, parts: Sequence[Part], steps: Sequence[Place]) -> tuple[Any, Any]:
    """Return AdamW and the schedule of the direct style, each game's steps by its own."""
    weights = list(trainable(lm).values())
    adam = torch.optim.AdamW(weights, lr=1.0, betas=parts[0].schedule.betas, weight_decay=0.0)

    def at(step: int) -> float:
        place = steps[min(step, len(steps) - 1)]
        return rate(parts[place.part].schedule, place.number)

    return adam, torch.optim.lr_scheduler.LambdaLR(adam, at)


class _Shown:
    """A game's demonstrations in tokens; the loss is on the reply alone.

    Raises
    ------
    InputError
        If the game's demonstrators give no reasons.
    """

    def __init__(self, lm: LanguageModel, part: Part, seed: int) -> None:
        check(part.domain.game, "reasoned")
        self.lm, self.part = lm, part
        found = demonstrate(part.domain.game, part.recipe.sft.examples, seed)
        self.train, self.test = found.split("train"), found.split("test")
        self._tokens: dict[tuple[int, str], Tokens] = {}

    def drawn(self, step: int) -> list[Tokens]:
        """Return the examples of a step, in the words that are drawn for it as in the direct style."""
        key = self.part.key
        wording = pick(self.part.domain.words, *key, step)
        rng = generator(*key, "examples", step)
        numbers = rng.integers(len(self.train), size=self.part.recipe.reasoned.examples).tolist()
        for i in numbers:
            if (i, wording.name) not in self._tokens:
                self._tokens[i, wording.name] = self._told(self.train[i], wording)
        return [self._tokens[i, wording.name] for i in numbers]

    def held(self) -> list[Tokens]:
        """Return the examples that validate, all in the first wording."""
        numbers = generator(*self.part.key, "held").permutation(len(self.test))[: self.part.recipe.reasoned.examples]
        return [self._told(self.test[i], self.part.domain.words[0]) for i in numbers.tolist()]

    def _told(self, example: Example, wording: Wording) -> Tokens:
        told = row(example._replace(decision=reword(example.decision, wording)), "reasoned")
        chat = [(turn["role"], turn["content"]) for turn in told["prompt"]]
        lm, text = self.lm, told["completion"][0]["content"]
        prompt, (reply,) = encode(lm.tokenizer, chat, [text], lm.template, lm.ends)
        return {"input_ids": [*prompt, *reply], "labels": [*[-100] * len(prompt), *reply]}


def _run(trainer: Any, lm: LanguageModel, noted: Noted, folder: Path) -> Weights:
    """Train to the end, from the newest checkpoint if there is one; return the trained weights.

    Where the model itself is divided among processes, the first one gets them and the others none.
    """
    last, done = ranks.of_first(_newest(folder) if ranks.first() else (None, 0))
    names = list(trainable(lm))
    trainer.remove_callback(PrinterCallback)  # its lines are the metrics'
    noted.begin(done)
    _quietly(lambda: trainer.train(resume_from_checkpoint=last))
    if _divides(trainer):
        whole = trainer.accelerator.get_state_dict(trainer.model)
        return {name: whole[name].detach().cpu().clone() for name in names} if ranks.first() else {}
    lm.model.eval()
    return snapshot(lm)


def _newest(folder: Path) -> tuple[str | None, int]:
    """Return the newest checkpoint and after how many steps it was written; remove what a kill left unfinished.

    A trainer writes a checkpoint in its place, its state last of all.
    """
    found: list[tuple[str | None, int]] = [(None, 0)]
    for place in sorted(folder.glob("checkpoint-*")):
        try:
            found.append((str(place), int(read_json(place / "trainer_state.json", "trainer state")["global_step"])))
        except InputError:
            shutil.rmtree(place)
    return max(found, key=lambda one: one[1])


def _divides(trainer: Any) -> bool:
    """Whether a trainer divides the model's weights among processes."""
    return trainer.accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def _quietly(what: Callable[[], Any]) -> Any:
    """Leave out what TRL warns of that is known here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rollout_func.*")
        warnings.simplefilter("ignore", FutureWarning)
        return what()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Let a model act without dropout for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
