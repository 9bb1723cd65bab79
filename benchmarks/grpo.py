"""TRL's ``GRPOTrainer`` as a way of a benchmark: set up once, timed one optimiser step at a time.

It gets the best conditions there are on a CPU: no gradient checkpointing, no KL, no logging, no saving, and no more
new tokens than a legal reply has. Knows no game: rows are prompts and what the reward must know of each.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple

from sepo.errors import InputError
from sepo.lm.adapter import adapted
from sepo.lm.load import LanguageModel


class Grpo(NamedTuple):
    """What a step of TRL's trainer does.

    Attributes
    ----------
    completions
        Replies of one step: sampled at once, learnt from in passes of ``batch``.
    group
        Replies to one prompt.
    new_tokens
        Most tokens of a reply.
    rank, alpha
        Of the LoRA adapter.
    shuffle
        Whether prompts are drawn from the rows; otherwise a step takes the first.
    targets, layers
        Which layers the adapter goes to: see ``sepo.lm.adapter.adapted``.
    """

    completions: int
    group: int
    batch: int
    new_tokens: int
    rank: int
    alpha: int
    learning_rate: float
    shuffle: bool = True
    targets: Literal["attention", "linear"] = "linear"
    layers: int | None = None


def version(benchmark: str) -> str:
    """Return TRL's version.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import trl
    except ImportError as error:
        raise InputError(f"benchmark '{benchmark}' needs TRL: pip install 'sepo[train]' ({error})") from None
    return str(trl.__version__)


def grpo_step(
    lm: LanguageModel,
    rows: Sequence[Mapping[str, Any]],
    reward: Callable[..., list[float]],
    settings: Grpo,
    folder: Path,
) -> Callable[[], float]:
    """Set the trainer up; return a function that takes one optimiser step and returns its seconds."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    class Clock(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        """From a step's beginning (before completions are sampled) to the end of the optimiser's step."""

        start = seconds = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds = perf_counter() - self.start

    logging.getLogger("transformers").setLevel(logging.ERROR)
    config = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.completions // settings.batch,
        num_generations=settings.group,
        max_completion_length=settings.new_tokens,
        max_steps=1,
        temperature=1.0,
        beta=0.0,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant",
        shuffle_dataset=settings.shuffle,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=adapted(lm, settings.targets, settings.layers),
        task_type="CAUSAL_LM",
    )
    clock = Clock()
    trainer = GRPOTrainer(
        model=lm.model,
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list([dict(row) for row in rows]),
        processing_class=lm.tokenizer,
        peft_config=lora,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)

    def step() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.train()
        return clock.seconds

    return step
