"""Loading models: clear refusals, adapters that start as the identity, and the bundled model's conversion."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from sepo.errors import InputError
from sepo.games.registry import make
from sepo.lm.adapter import anchored, make_trainable, restore, save_model, snapshot, trainable
from sepo.lm.identity import TEMPLATE, contents
from sepo.lm.load import arithmetic, bundled_folder, load_model
from sepo.policies.direct import DirectPolicy
from sepo.policies.spec import load_policy
from sepo.solve.expand import expand
from tests.docs_blocks import ROOT, blocks
from tests.models import ASKED, tiny_model, tiny_named, tiny_tokenizer

ADAPTER = "adapter_model.safetensors"
DECISIONS = [i.decision for i in expand(make("kuhn")).infosets]


def table(lm) -> np.ndarray:
    return np.concatenate(DirectPolicy(lm, "x").probabilities(DECISIONS))


def disturb(lm) -> None:
    with torch.no_grad():
        for parameter in trainable(lm).values():
            parameter.add_(0.2)


def test_a_folder_without_weights_is_refused_by_name(tmp_path):
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"holds no weights"):
        load_model(f"hf:{tmp_path}")


@pytest.mark.parametrize("reference", ["bundled:other", "hf:", "hf:/nowhere/at/all", "gguf:x"])
def test_what_is_not_there_is_refused(reference):
    with pytest.raises(InputError):
        load_policy(reference)


def test_lora_starts_as_the_identity_and_is_trained_in_float32(tmp_path):
    reference = tiny_model(tmp_path)
    plain = table(load_model(reference))
    lm = load_model(reference, dtype="bfloat16")
    make_trainable(lm, "lora", rank=4, alpha=8)
    assert {p.dtype for p in trainable(lm).values()} == {torch.float32}
    adapted = load_model(reference)
    make_trainable(adapted, "lora", rank=4, alpha=8)
    np.testing.assert_allclose(table(adapted), plain, atol=1e-6)


def test_only_the_last_layers_are_adapted_where_told(tmp_path):
    lm = load_model(tiny_model(tmp_path))
    make_trainable(lm, "lora", rank=4, alpha=8, layers=1)
    names = list(trainable(lm))
    assert names
    assert all(".layers.1." in name for name in names)


def test_full_fine_tuning_trains_every_weight_in_float32(tmp_path):
    lm = load_model(tiny_model(tmp_path), dtype="bfloat16")
    make_trainable(lm, "full")
    assert len(trainable(lm)) == len(list(lm.model.parameters()))
    assert {p.dtype for p in trainable(lm).values()} == {torch.float32}


def test_adapters_differ_between_seeds_and_agree_within_one(tmp_path):
    reference = tiny_model(tmp_path)
    made = []
    for seed in (0, 0, 1):
        lm = load_model(reference)
        make_trainable(lm, "lora", rank=4, alpha=8, seed=seed)
        made.append(torch.cat([p.flatten() for p in trainable(lm).values()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_an_anchored_model_is_its_reference_and_comes_back(tmp_path):
    lm = load_model(tiny_model(tmp_path))
    make_trainable(lm, "lora", rank=4, alpha=8)
    anchor, before = snapshot(lm), table(lm)
    disturb(lm)
    after = table(lm)
    assert np.abs(after - before).max() > 1e-3
    with anchored(lm, anchor):
        np.testing.assert_array_equal(table(lm), before)
    np.testing.assert_array_equal(table(lm), after)


def test_a_saved_adapter_loads_as_a_policy_string(tmp_path):
    reference = tiny_model(tmp_path / "model")
    lm = load_model(reference)
    make_trainable(lm, "lora", rank=4, alpha=8)
    disturb(lm)
    save_model(lm, tmp_path / "adapter")
    names = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["target_modules"]
    assert len(names) > 10
    assert names == sorted(names)  # a set of them has another order in every process
    again = load_model(f"{reference}+{tmp_path / 'adapter'}")
    np.testing.assert_allclose(table(again), table(lm), atol=1e-6)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_trained_model_is_asked_as_it_was_in_training(tmp_path, kind):
    reference = tiny_model(tmp_path / "model", template=ASKED)
    lm = load_model(reference, template={"manner": "aloud"})
    make_trainable(lm, kind, rank=4, alpha=8)
    save_model(lm, tmp_path / "saved")
    forms = [f"{reference}+{tmp_path / 'saved'}", f"hf:{tmp_path / 'saved'}"][kind == "full" :]
    for form in forms:
        assert load_model(form).template == {"manner": "aloud"}
        assert load_model(form, template={"manner": "low"}).template == {"manner": "low"}
        policy = load_policy(form)
        np.testing.assert_allclose(np.concatenate(policy.probabilities(DECISIONS)), table(lm), atol=1e-6)
        assert policy.about()["template"] == '{"manner": "aloud"}'
    asked = table(lm)
    lm.template = {}
    assert np.abs(table(lm) - asked).max() > 1e-4
    before = contents(forms[0])
    (tmp_path / "saved" / TEMPLATE).write_text('{"manner": "low"}')
    assert contents(forms[0]) != before
    (tmp_path / "saved" / TEMPLATE).write_text('{"tokenize": true}')
    with pytest.raises(InputError, match="'tokenize' is no argument of a template"):
        load_model(forms[0])


def test_a_model_that_was_trained_with_no_arguments_is_saved_with_none_and_a_date_is_kept_as_it_is_written(tmp_path):
    lm = load_model(tiny_model(tmp_path / "model"))
    save_model(lm, tmp_path / "saved")
    assert not (tmp_path / "saved" / TEMPLATE).exists()
    assert "template" not in DirectPolicy(lm, "x").about()
    lm.template = {"date_string": date(2024, 7, 26)}
    save_model(lm, tmp_path / "saved")
    assert load_model(f"hf:{tmp_path / 'saved'}").template == {"date_string": "2024-07-26"}


@pytest.fixture(scope="module")
def adapted(tmp_path_factory) -> tuple[str, Path]:
    """Return a model's POLICY string and an adapter of it."""
    folder = tmp_path_factory.mktemp("adapted")
    reference = tiny_model(folder / "model")
    lm = load_model(reference)
    make_trainable(lm, "lora", rank=4, alpha=8)
    save_model(lm, folder / "adapter")
    return reference, folder / "adapter"


def other_names(folder: Path) -> None:
    weights = load_file(folder / ADAPTER)
    save_file({name.replace("layers", "blocks"): w for name, w in weights.items()}, folder / ADAPTER)


def one_less(folder: Path) -> None:
    save_file(dict(list(load_file(folder / ADAPTER).items())[1:]), folder / ADAPTER)


def one_more(folder: Path) -> None:
    further = {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": torch.zeros(4, 32)}
    save_file(load_file(folder / ADAPTER) | further, folder / ADAPTER)


def other_shapes(folder: Path) -> None:
    save_file({name: w[:2].clone() for name, w in load_file(folder / ADAPTER).items()}, folder / ADAPTER)


def cut_off(folder: Path) -> None:
    path = next(folder.glob("*model.safetensors"))
    path.write_bytes(path.read_bytes()[:-100])


def emptied(folder: Path) -> None:
    next(folder.glob("*model.safetensors")).write_bytes(b"")


def listed(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("[]")


UNFIT = [
    (other_names, "does not fit model"),
    (one_less, "does not fit model"),
    (one_more, "which has no place for 1 of its weights"),
    (other_shapes, "size mismatch"),
    (cut_off, "cannot load"),
    (emptied, "cannot load"),
]


@pytest.mark.parametrize("form", ["{model}+{adapter}", "hf:{adapter}"])
@pytest.mark.parametrize(("change", "said"), UNFIT)
def test_an_adapter_that_does_not_fit_or_cannot_be_read_is_refused_by_name(adapted, tmp_path, change, said, form):
    reference, adapter = adapted
    shutil.copytree(adapter, tmp_path / "other")
    named = form.format(model=reference, adapter=tmp_path / "other")
    load_model(named)
    change(tmp_path / "other")
    with pytest.raises(InputError, match=said) as refused:
        load_model(named)
    assert str(tmp_path / "other") in str(refused.value)
    assert reference in str(refused.value)


@pytest.mark.parametrize("form", ["{model}+{adapter}", "hf:{adapter}"])
def test_an_adapter_whose_configuration_cannot_be_read_is_refused_by_name(adapted, tmp_path, form):
    reference, adapter = adapted
    shutil.copytree(adapter, tmp_path / "other")
    listed(tmp_path / "other")
    with pytest.raises(InputError, match=str(tmp_path / "other")):
        load_model(form.format(model=reference, adapter=tmp_path / "other"))


@pytest.mark.parametrize("change", [other_names, one_less, one_more])
def test_an_adapter_in_the_folder_of_its_model_is_refused_where_it_does_not_fit(adapted, tmp_path, change):
    reference, adapter = adapted
    shutil.copytree(reference.removeprefix("hf:"), tmp_path / "both")
    for name in (ADAPTER, "adapter_config.json"):
        shutil.copy(adapter / name, tmp_path / "both" / name)
    load_model(f"hf:{tmp_path / 'both'}")
    change(tmp_path / "both")
    with pytest.raises(InputError, match=r"(lacks|no place for) .*weights|weights that .* no place for"):
        load_model(f"hf:{tmp_path / 'both'}")


def test_an_adapter_named_by_itself_is_the_adapted_model_and_takes_no_other_on_top(tmp_path):
    reference = tiny_model(tmp_path / "model")
    lm = load_model(reference)
    make_trainable(lm, "lora", rank=4, alpha=8)
    disturb(lm)
    save_model(lm, tmp_path / "adapter")
    np.testing.assert_allclose(table(load_model(f"hf:{tmp_path / 'adapter'}")), table(lm), atol=1e-6)
    with pytest.raises(InputError, match="is an adapter itself"):
        load_model(f"hf:{tmp_path / 'adapter'}+{tmp_path / 'adapter'}")
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": None}))
    with pytest.raises(InputError, match="does not say what model it is of"):
        load_model(f"hf:{tmp_path / 'adapter'}")


@pytest.mark.parametrize("make_model", [tiny_model, *(partial(tiny_named, family=f) for f in ("gemma4", "qwen3_5"))])
def test_a_model_that_lacks_weights_is_refused(tmp_path, make_model):
    reference = make_model(tmp_path)
    load_model(reference)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    (lost,) = [name for name in weights if name.endswith("layers.1.mlp.down_proj.weight")]
    save_file({name: w for name, w in weights.items() if name != lost}, path, {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of its weights, such as .*layers\.1\.mlp\.down_proj\.weight"):
        load_model(reference)


def test_a_model_that_is_quantised_by_a_package_not_here_is_refused_in_one_line(tmp_path):
    reference = tiny_model(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"quantization_config": {"quant_method": "gptq", "bits": 4}})
    )
    with pytest.raises(InputError, match=r"cannot load model .*: .*GPTQ"):
        load_model(reference)


@pytest.mark.parametrize("change", [cut_off, emptied])
def test_a_model_that_cannot_be_read_is_refused_by_name(tmp_path, change):
    reference = tiny_model(tmp_path / "model")
    change(tmp_path / "model")
    with pytest.raises(InputError, match=r"cannot load model '.*model'"):
        load_model(reference)


def test_an_adapter_with_modules_of_its_own_is_loaded_whole(tmp_path):
    reference = tiny_model(tmp_path / "model")
    lm = load_model(reference)
    config = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM")
    lm.model = get_peft_model(lm.model, config).eval()
    disturb(lm)
    lm.model.save_pretrained(tmp_path / "adapter")
    np.testing.assert_allclose(table(load_model(f"{reference}+{tmp_path / 'adapter'}")), table(lm), atol=1e-6)


def test_an_adapter_that_learns_keys_and_values_is_scored_as_peft_does(tmp_path):
    reference = tiny_model(tmp_path / "model")
    made = get_peft_model(load_model(reference).model, PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))
    made.save_pretrained(tmp_path / "adapter")
    lm = load_model(f"{reference}+{tmp_path / 'adapter'}")
    policy = DirectPolicy(lm, "x")
    found = policy.probabilities(DECISIONS[:1])[0]
    prompt, replies = policy.question(DECISIONS[0])
    scores = []
    for reply in replies:
        with torch.no_grad():
            said = made.eval()(input_ids=torch.tensor([[*prompt, *reply]])).logits[0].log_softmax(-1)
        scores.append(sum(said[len(prompt) - 1 + k, token] for k, token in enumerate(reply)))
    np.testing.assert_allclose(found, torch.stack(scores).softmax(0), atol=1e-5)
    assert np.abs(found - DirectPolicy(load_model(reference), "x").probabilities(DECISIONS[:1])[0]).max() > 1e-4


@pytest.mark.parametrize("config", [PromptTuningConfig, PromptEncoderConfig])
def test_an_adapter_that_puts_tokens_of_its_own_into_prompts_is_refused(tmp_path, config):
    reference = tiny_model(tmp_path / "model")
    made = get_peft_model(load_model(reference).model, config(num_virtual_tokens=3, task_type="CAUSAL_LM"))
    made.save_pretrained(tmp_path / "adapter")
    tiny_tokenizer().save_pretrained(tmp_path / "adapter")
    for form in (f"{reference}+{tmp_path / 'adapter'}", f"hf:{tmp_path / 'adapter'}"):
        with pytest.raises(InputError, match="puts tokens of its own into prompts"):
            load_model(form)


def test_weights_of_another_adapter_are_refused(tmp_path):
    lm = load_model(tiny_model(tmp_path))
    make_trainable(lm, "lora", rank=4, alpha=8)
    with pytest.raises(InputError, match="checkpoint"):
        restore(lm, {"other": torch.zeros(1)})


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("form", ["{model}+{adapter}", "hf:{adapter}"])
def test_no_second_adapter_is_trained_on_top_of_one(adapted, kind, form):
    model, adapter = adapted
    lm = load_model(form.format(model=model, adapter=adapter))
    with pytest.raises(InputError, match="has an adapter already") as refused:
        make_trainable(lm, kind, rank=4, alpha=8)
    assert lm.reference in str(refused.value)
    lm.reference = "hf:a model that is not on this machine by that name"
    with pytest.raises(InputError, match="has an adapter already"):
        make_trainable(lm, kind, rank=4, alpha=8)


@pytest.mark.parametrize("make_model", [tiny_model, lambda folder: tiny_named(folder, "gemma4")])
def test_a_merged_model_is_the_adapted_one_and_can_be_trained_as_the_page_of_recipes_says(
    tmp_path, monkeypatch, make_model
):
    reference = make_model(tmp_path / "model")
    lm = load_model(reference)
    make_trainable(lm, "lora", rank=4, alpha=8)
    disturb(lm)
    save_model(lm, tmp_path / "adapter")
    (code,) = [b.text for b in blocks(ROOT / "docs" / "recipes.md") if b.kind == "python"]
    (named,) = re.findall(r'load_model\("(.*)"\)', code)
    monkeypatch.chdir(tmp_path)
    exec(code.replace(named, f"{reference}+adapter"), {})
    merged = load_model("hf:merged")
    np.testing.assert_allclose(table(merged), table(lm), atol=1e-5)
    make_trainable(merged, "lora", rank=4, alpha=8)
    np.testing.assert_allclose(table(merged), table(lm), atol=1e-5)


@pytest.mark.no_cover
@pytest.mark.weights
def test_two_processes_that_convert_the_bundled_model_at_once_both_get_it_whole_and_read_it_once(tmp_path, monkeypatch):
    code = """
import gguf
from sepo.lm.load import bundled_folder
read, begin = [], gguf.GGUFReader.__init__
def noted(self, *arguments):
    read.append(arguments)
    begin(self, *arguments)
gguf.GGUFReader.__init__ = noted
print(bundled_folder())
print(len(read))
"""
    env = {"SEPO_CACHE": str(tmp_path), "PATH": "", "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0].splitlines()[-2:] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len({folder for folder, _ in said}) == 1
    assert sorted(read for _, read in said) == ["0", "1"]
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path))
    names = {f.name for f in bundled_folder().iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".")]


@pytest.mark.weights
def test_the_bundled_model_answers_every_kuhn_decision_in_float32():
    policy = load_policy("bundled:smollm2")
    answers = policy.probabilities(DECISIONS)
    assert policy.about()["dtype"] == "float32"
    assert policy.about()["packing"] == "trie"
    assert all(p.shape == (2,) and abs(p.sum() - 1) < 1e-9 for p in answers)
    assert all(0 < m < 1 for m in policy.legal_mass().values())


@pytest.mark.weights
def test_an_adapter_of_the_bundled_model_is_audited_on_top_of_it(tmp_path):
    lm = load_model("bundled:smollm2")
    make_trainable(lm, "lora", rank=2, alpha=4, targets="attention")
    with torch.no_grad():
        for parameter in trainable(lm).values():
            parameter.add_(0.01)
    save_model(lm, tmp_path / "adapter")
    few = DECISIONS[:2]
    trained = np.concatenate(DirectPolicy(lm, "x", "trie").probabilities(few))
    again = np.concatenate(load_policy(f"bundled:smollm2+{tmp_path / 'adapter'}").probabilities(few))
    np.testing.assert_allclose(again, trained, atol=1e-5)
    plain = np.concatenate(load_policy("bundled:smollm2").probabilities(few))
    assert np.abs(plain - trained).max() > 1e-3


def test_what_computes_is_named_as_far_as_it_decides_the_last_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    able = {"cpu_name": "Some CPU", "avx2": True, "avx512_bf16": True, "amx_bf16": False}
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: able)
    assert arithmetic() == "Some CPU, AVX512, avx512_bf16"
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"architecture": "aarch64"})
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    assert arithmetic() == "aarch64, DEFAULT"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda i: f"GPU {i}")
    assert arithmetic() == "GPU 0, GPU 1"
