"""Models of the shapes of the large ones that recipes name, with random weights: what they cost, without a download.

    python -m benchmarks.shapes gemma4-e4b FOLDER
    sepo run recipes/kuhn.yaml --set model.policy=hf:FOLDER ...

Dimensions are those of the published configurations; blocks, embeddings and heads are as large as there. What does not
take part in a game in text is left out or as small as it comes: the towers for images and sound. The tokenizer is the
bundled model's, so prompts have its lengths and part of the vocabulary is never used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from sepo.cli.arguments import parse_choice
from sepo.errors import InputError
from sepo.files import write_atomic
from sepo.lm.load import bundled_folder

GEMMA4_E4B: dict[str, Any] = {
    "vocab_size": 262144,
    "vocab_size_per_layer_input": 262144,
    "hidden_size": 2560,
    "hidden_size_per_layer_input": 256,
    "intermediate_size": 10240,
    "num_hidden_layers": 42,
    "num_kv_shared_layers": 18,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "global_head_dim": 512,
    "sliding_window": 512,
    "final_logit_softcapping": 30.0,
}
QWEN35_4B: dict[str, Any] = {
    "vocab_size": 248320,
    "hidden_size": 2560,
    "intermediate_size": 9216,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "tie_word_embeddings": True,
}
TOWER: dict[str, Any] = {"depth": 1, "hidden_size": 64, "intermediate_size": 64, "num_heads": 1}


def gemma4_e4b() -> Any:
    """Return the shape of Gemma 4 E4B: 7.5 billion numbers, 2.8 of them looked up by token and layer."""
    from transformers import Gemma4Config

    return Gemma4Config(text_config=GEMMA4_E4B)


def qwen35_4b() -> Any:
    """Return the shape of Qwen3.5-4B: 4.2 billion numbers."""
    from transformers import Qwen3_5Config

    vision = TOWER | {"out_hidden_size": QWEN35_4B["hidden_size"]}
    return Qwen3_5Config(text_config=QWEN35_4B, vision_config=vision, tie_word_embeddings=True)


SHAPES = {"gemma4-e4b": gemma4_e4b, "qwen3.5-4b": qwen35_4b}


def save(shape: str, folder: Path, tokenizer: Path, seed: int = 0) -> int:
    """Write a model of random bfloat16 weights and its tokenizer to a new folder; return how many numbers it has.

    Raises
    ------
    InputError
        If there is such a folder already, or it cannot be written.
    """
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    if folder.exists():
        raise InputError(f"'{folder}' is there already; name a folder to be made")

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(SHAPES[shape](), dtype=torch.bfloat16)

    def write(made: Path) -> None:
        model.save_pretrained(made)
        AutoTokenizer.from_pretrained(tokenizer).save_pretrained(made)

    write_atomic(folder, write)
    return sum(p.numel() for p in model.parameters())


def command(
    shape: Annotated[str, typer.Argument(metavar="SHAPE", help=f"One of {', '.join(SHAPES)}.")],
    folder: Annotated[Path, typer.Argument(help="Where the model is written, 8 or 15 GB.")],
    tokenizer: Annotated[Path | None, typer.Option(help="A folder that holds another tokenizer.")] = None,
) -> None:
    """Write a model of a large one's shape, with random weights."""
    try:
        numbers = save(parse_choice(shape, tuple(SHAPES), "shape"), folder, tokenizer or bundled_folder())
    except InputError as error:
        typer.echo(f"shapes: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{folder}: {numbers / 1e9:.2f} billion numbers")


if __name__ == "__main__":
    typer.run(command)
