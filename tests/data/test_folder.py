"""The folder as others read it: the datasets library, without a network, and TRL's trainer."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from sepo.data.card import SPLITS, folder
from sepo.data.episodes import demonstrate
from sepo.data.folder import check_free, write_folder
from sepo.errors import InputError
from sepo.games.registry import make
from tests.models import tiny_model

NAMES = ("ipd", "kuhn")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "data"
    write_folder(out, [demonstrate(make(n), 200) for n in NAMES], ["direct", "reasoned"], "sepo data")
    return out


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Return the arguments that keep ``load_dataset`` to this folder; without a network it has nothing else."""
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return {"cache_dir": str(tmp_path / "cache")}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_card_names_configurations_that_load(made: Path, offline: dict[str, Any]):
    from datasets import get_dataset_config_names, load_dataset

    names = ["direct", "reasoned", *(f"{game}_{style}" for game in NAMES for style in ("direct", "reasoned"))]
    assert get_dataset_config_names(str(made)) == names
    whole = load_dataset(str(made), **offline)  # the first configuration, as none is named
    for split in SPLITS:
        parts = [rows(made / game / "direct" / f"{split}.jsonl") for game in NAMES]
        assert list(whole[split]) == [row for part in parts for row in part]
        one = load_dataset(str(made), "kuhn_reasoned", split=split, **offline)
        assert list(one) == rows(made / "kuhn" / "reasoned" / f"{split}.jsonl")


def test_single_files_load_as_well(made: Path, offline: dict[str, Any]):
    from datasets import load_dataset

    file = made / "ipd" / "direct" / "test.jsonl"
    assert list(load_dataset("json", data_files=str(file), split="train", **offline)) == rows(file)


@pytest.mark.parametrize("config", ["kuhn_direct", "ipd_direct", "ipd_reasoned"])
def test_trl_takes_the_loss_on_the_reply_alone(made: Path, offline: dict[str, Any], tmp_path: Path, config: str):
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    path = tiny_model(tmp_path / "model").removeprefix("hf:")
    tokenizer = AutoTokenizer.from_pretrained(path)
    shown = load_dataset(str(made), config, split="test", **offline)
    wanted = SFTConfig(
        str(tmp_path / "out"),
        use_cpu=True,
        bf16=False,
        report_to="none",
        max_length=None,
        per_device_train_batch_size=4,
    )
    model = AutoModelForCausalLM.from_pretrained(path)
    trainer = SFTTrainer(model, wanted, train_dataset=shown, processing_class=tokenizer)
    labels = [
        [token for token in labels if token != -100]
        for batch in trainer.get_eval_dataloader(trainer.train_dataset)
        for labels in batch["labels"].tolist()
    ]
    replies = Counter(row["completion"][0]["content"] + "<|im_end|>" for row in shown)
    assert Counter(tokenizer.decode(ids).strip() for ids in labels) == replies
    batch = next(iter(trainer.get_train_dataloader()))
    assert set(batch) == {"input_ids", "attention_mask", "labels"}  # the columns about an example go no further
    assert trainer.model(**{k: v.to(trainer.model.device) for k, v in batch.items()}).loss.isfinite()


def test_the_card_counts_what_is_there(made: Path):
    text = (made / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert (head["license"], head["language"]) == ("apache-2.0", ["en"])
    for game in NAMES:
        section = text.split(f"## {game}\n")[1].split("\n## ")[0]
        parts = [rows(made / game / "direct" / f"{split}.jsonl") for split in SPLITS]
        sizes = " | ".join(str(len(part)) for part in parts)
        assert f"| direct rows | {sizes} |" in section
        assert f"| reasoned rows | {sizes} |" in section
        for column in ("demonstrator", "opponent", "action"):
            counted = [Counter(row[column] for row in part) for part in parts]
            for value in counted[0] | counted[1]:
                lines = [line for line in section.splitlines() if line.startswith(f"| `{value}`")]
                assert any(line.endswith(f"| {counted[0][value]} | {counted[1][value]} |") for line in lines), value
    assert "`sepo data` (sepo " in text


def test_a_name_with_a_colon_makes_a_folder_and_a_configuration(tmp_path: Path, offline: dict[str, Any]):
    from datasets import load_dataset

    write_folder(tmp_path / "data", [demonstrate(make("openspiel:kuhn_poker"), 20)], ["direct"], "sepo data")
    assert (tmp_path / "data" / "openspiel-kuhn_poker" / "direct" / "train.jsonl").is_file()
    assert len(load_dataset(str(tmp_path / "data"), "openspiel-kuhn_poker_direct", **offline)["test"])
    assert folder("openspiel:goofspiel(num_cards=4)") == "openspiel-goofspiel-num_cards-4-"


def test_what_stands_there_is_kept(made: Path, tmp_path: Path):
    before = {path: path.read_bytes() for path in made.rglob("*.jsonl")}
    with pytest.raises(InputError, match="not empty"):
        write_folder(made, [], ["direct"], "sepo data")
    assert {path: path.read_bytes() for path in made.rglob("*.jsonl")} == before
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no folder"):
        write_folder(tmp_path / "file", [], ["direct"], "sepo data")
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", [demonstrate(make("kuhn"), 1)], ["direct"], "sepo data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_the_folder_that_one_stands_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is the folder that you are in"):
        write_folder(Path(), [], ["direct"], "sepo data")


def test_a_folder_that_cannot_be_written_is_refused_before_there_are_demonstrations(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write '.*file/data'"):
        check_free(tmp_path / "file" / "data")
    check_free(tmp_path / "new" / "data")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
