"""Recipes: what a run trains, on what, and how. YAML, validated; unknown keys are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sepo.errors import InputError
from sepo.games.base import MeasureName, Weights


class Section(BaseModel):
    """A part of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


S = TypeVar("S", bound=Section)


class ModelSection(Section):
    """The model and what of it is trained."""

    policy: str = "bundled:smollm2"
    dtype: Literal["float32", "bfloat16"] = "float32"
    adapter: Literal["lora", "full"] = "lora"
    rank: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    targets: Literal["attention", "linear"] = "linear"
    layers: Annotated[int | None, Field(ge=1, description="adapt only the last so many layers")] = None
    budget: Annotated[int, Field(ge=1, description="tokens of one forward pass")] = 1536
    template: dict[str, Any] = Field(default_factory=dict, description="arguments of the chat template")


class ReasonedSection(Section):
    """The reasoned style: how a model that writes is asked, trained by TRL and audited; see ``train.reasoned``."""

    tokens: Annotated[int, Field(ge=1, description="most tokens of a reply")] = 96
    illegal: Annotated[
        Literal["forfeit", "random"], Field(description="what counts where a reply is no legal answer")
    ] = "forfeit"
    samples: Annotated[int, Field(ge=1, description="answers drawn at each information state in an audit")] = 32
    retries: Annotated[int, Field(ge=0, description="how often an audit asks again; training never does")] = 0
    examples: Annotated[int, Field(ge=1, description="demonstrated replies of a step of fine-tuning")] = 32
    opponents: Annotated[
        int | None, Field(ge=1, description="opponents that a step on J meets, drawn anew each time; null: all")
    ] = None
    batch: Annotated[int, Field(ge=2, description="replies of one forward and backward pass, on each process")] = 8
    gradient_checkpointing: bool = False
    vllm: Annotated[
        Literal["off", "colocate", "server"], Field(description="whether vLLM writes in training, and where it runs")
    ] = "off"
    vllm_server: Annotated[str, Field(description="base URL of `trl vllm-serve`")] = "http://127.0.0.1:8000"
    report_to: Annotated[list[str], Field(description="trackers of transformers, such as wandb or tensorboard")] = []


class Schedule(Section):
    """Adam's learning rate: a linear warm-up, then a decay to 0 over the rest of the steps."""

    steps: Annotated[int, Field(ge=0)] = 80
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    warmup: Annotated[int, Field(ge=0)] = 5
    decay: Literal["cosine", "linear", "none"] = "cosine"
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
        Field(
            description="Adam's; with the usual second one the large gradients of the start damp a short run to its end"
        ),
    ] = (0.9, 0.999)


class SftSection(Schedule):
    """Supervised fine-tuning on demonstrations."""

    steps: Annotated[int, Field(ge=0)] = 30
    decay: Literal["cosine", "linear", "none"] = "none"
    examples: Annotated[int, Field(ge=1)] = 7000
    episodes: Annotated[int, Field(ge=1, description="episodes whose decisions a step of a large game scores")] = 16


Weight = Annotated[float, Field(ge=0)] | Literal["auto"] | None


class LambdaSection(Section):
    """Weights of the penalties; what is left out keeps the measure set's weight.

    A weight that is ``auto`` is found by dual ascent, so that its measure keeps the ``budget``: one number for all of
    them, or one each. It starts at the measure set's weight. See ``train.dual``.
    """

    e: Weight = None
    c: Weight = None
    x: Weight = None
    budget: Annotated[float, Field(ge=0)] | dict[Literal["e", "c", "x"], Annotated[float, Field(ge=0)]] | None = None
    rate: Annotated[float, Field(gt=0, description="most that a weight gains in a step of dual ascent")] = 0.2

    @model_validator(mode="after")
    def _budgets_and_weights_belong_together(self) -> LambdaSection:
        auto = {name for name in Weights._fields if getattr(self, name) == "auto"}
        if auto and self.budget is None:
            raise ValueError(f"weight '{min(auto)}' is auto, which needs a budget")
        if self.budget is not None and not auto:
            raise ValueError("a budget needs a weight that is auto")
        if isinstance(self.budget, dict) and set(self.budget) != auto:
            raise ValueError(f"budgets are for the weights that are auto: {', '.join(sorted(auto))}")
        return self

    @property
    def budgets(self) -> dict[str, float]:
        """The budget of each weight that is ``auto``."""
        if isinstance(self.budget, dict):
            return {str(name): value for name, value in self.budget.items()}
        auto = [name for name in Weights._fields if getattr(self, name) == "auto"]
        return {} if self.budget is None else dict.fromkeys(auto, self.budget)


class EntropySection(Section):
    """The entropy bonus: from ``start`` to ``end`` in a straight line over ``over`` steps."""

    start: Annotated[float, Field(ge=0)] = 0.0
    end: Annotated[float, Field(ge=0)] = 0.0
    over: Annotated[int, Field(ge=0)] = 0


class MirrorSection(Section):
    """Magnetic mirror descent on the table; see ``train.mirror``."""

    eta: Annotated[float, Field(gt=0)] = 10.0
    alpha: Annotated[float, Field(ge=0)] = 0.005
    steps: Annotated[int, Field(ge=1)] = 500
    decay: Annotated[float, Field(gt=0)] = 5.0
    values: Literal["counterfactual", "mean"] = "counterfactual"
    inertia: Annotated[
        float, Field(ge=0, lt=1, description="weight of the last target, against the policy, in where the next starts")
    ] = 0.0
    focus: Annotated[
        float,
        Field(ge=0, description="what a decision loses against the target where it weighs half; 0: all weigh alike"),
    ] = 0.0
    projections: Annotated[int, Field(ge=1, description="model updates per table target")] = 4
    learns: Annotated[
        Literal["policy", "replies"],
        Field(
            description="what a projection is the cross-entropy of: the policy over all legal actions, or whole reply "
            "strings, of which only those that the target plays are scored"
        ),
    ] = "policy"


class TrainSection(Schedule):
    """Training on J; see ``train.objective`` and ``train.direct``."""

    measures: MeasureName | None = None
    lambda_: LambdaSection = Field(default_factory=LambdaSection, alias="lambda")
    margin: Annotated[
        float,
        Field(
            ge=0,
            description="points per round by which an exploiter must be behind before it counts no more; figures are "
            "without it",
        ),
    ] = 0.0
    start: Literal["sft", "base"] = "sft"
    credit: Literal["credited", "rollout", "constant"] = "credited"
    estimator: Literal["exact", "sampled"] = "exact"
    scale: Literal["joint", "group", "none"] = "joint"
    returns: Literal["to_go", "immediate"] = "to_go"
    baseline: Literal["group", "value"] = "group"
    groups: Annotated[int, Field(ge=1)] = 64
    group_size: Annotated[int, Field(ge=2)] = 8
    exploiter: Literal["pool", "best_response", "both", "growing", "league"] = "best_response"
    best_response_every: Annotated[int, Field(ge=1)] = 1
    update: Literal["clipped", "mmd"] = "mmd"
    target: Annotated[
        Literal["mirror", "ceiling"],
        Field(description="what mmd projects onto: the policy's own table improved, or the best policy there is"),
    ] = "mirror"
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    mirror: MirrorSection = Field(default_factory=MirrorSection)
    kl: Annotated[float, Field(ge=0)] = 0.0
    entropy: EntropySection = Field(default_factory=EntropySection)
    legal_mass: Annotated[float, Field(ge=0)] = 0.1
    episodes: Annotated[int, Field(ge=1, description="episodes whose decisions a step of a large game scores")] = 32
    states: Annotated[int, Field(ge=1, description="decisions asked about before a table target is set")] = 256
    coverage: Annotated[
        float, Field(ge=0, le=1, description="share of uniform play in the reach that weighs decisions")
    ] = 0.5

    @model_validator(mode="after")
    def _targets_are_projected_onto(self) -> TrainSection:
        if self.target == "ceiling" and self.update != "mmd":
            raise ValueError("target 'ceiling' needs update 'mmd': a clipped update has no target")
        return self

    @model_validator(mode="after")
    def _replies_are_learnt_alone(self) -> TrainSection:
        whole = [
            name for name, weight in (("kl", self.kl), ("entropy", self.entropy.start + self.entropy.end)) if weight
        ]
        if self.mirror.learns == "replies" and whole:
            raise ValueError(f"mirror.learns 'replies' scores no whole policy, which {whole[0]} is of")
        return self

    @model_validator(mode="after")
    def _group_scale_needs_groups(self) -> TrainSection:
        if self.scale == "group" and self.estimator == "exact":
            raise ValueError("scale 'group' needs estimator 'sampled': an exact gradient has no groups")
        return self


class AuditSection(Section):
    """The audits at the end of an arm."""

    budget: Annotated[int, Field(ge=1, description="information states of a large game that are asked about")] = 1500
    adversaries: Annotated[bool, Field(description="whether adversaries are let loose on the policy")] = False
    best: Annotated[bool, Field(description="whether the best step is audited too, beside the last")] = True
    episodes: Annotated[
        int | None,
        Field(ge=2, description="clusters of episodes where figures are sampled; null: the audit's own number"),
    ] = None

    @property
    def cards(self) -> tuple[str, ...]:
        """Names of the policies that are audited, and of their scorecards."""
        return ("last", "best") if self.best else ("last",)


class Arm(Section):
    """One variant: ``base`` is the model as loaded, ``sft`` after fine-tuning, ``train`` trained on J from there."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=60)]
    stage: Literal["base", "sft", "train"] = "train"
    about: str = ""
    train: dict[str, Any] = Field(default_factory=dict)


class Recipe(Section):
    """A whole run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=60)]
    game: str
    rules: dict[str, Any] = Field(default_factory=dict)
    practice: Annotated[
        dict[str, Any], Field(description="rules that training plays by instead of the audit's, as other instances")
    ] = Field(default_factory=dict)
    measures: MeasureName = "sepo"
    seeds: Annotated[list[int], Field(min_length=1)] = [0]
    model: ModelSection = Field(default_factory=ModelSection)
    sft: SftSection = Field(default_factory=SftSection)
    train: TrainSection = Field(default_factory=TrainSection)
    audit: AuditSection = Field(default_factory=AuditSection)
    style: Annotated[
        Literal["direct", "reasoned"],
        Field(description="whether the model is scored on its legal actions, or writes freely and is sampled"),
    ] = "direct"
    reasoned: ReasonedSection = Field(default_factory=ReasonedSection)
    arms: Annotated[list[Arm], Field(min_length=1)]
    wordings: Annotated[
        Literal["original", "mixed"],
        Field(description="words of the questions in training: the game's own, or one of its wordings for each step"),
    ] = "original"
    checkpoint_every: Annotated[int, Field(ge=1)] = 10
    episodes: Annotated[int, Field(ge=0, description="episodes written out per opponent at the end")] = 4

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        names = [arm.name for arm in self.arms]
        if twice := [n for n in names if names.count(n) > 1]:
            raise ValueError(f"two arms are named '{twice[0]}'")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed stands twice in {self.seeds}")
        stages = [arm.stage for arm in self.arms]
        if stages.count("sft") > 1:
            raise ValueError("two arms have stage 'sft'; one is enough, since they would be the same")
        for arm in self.arms:
            section = self.settings(arm)
            if arm.stage == "train" and section.start == "sft" and "sft" not in stages:
                raise ValueError(f"arm '{arm.name}' starts from sft, but no arm has stage 'sft'")
            if arm.stage == "train" and self.style == "reasoned":
                _check_sampled(arm.name, section)
        return self

    def settings(self, arm: Arm) -> TrainSection:
        """Return the training settings of an arm: the recipe's, with the arm's own on top."""
        base = self.train.model_dump(by_alias=True)
        return TrainSection.model_validate(merged(base, arm.train))

    def measure_name(self, arm: Arm) -> MeasureName:
        """Return the measure set that an arm is trained on."""
        return self.settings(arm).measures or self.measures


SAMPLED = {"estimator": "sampled", "update": "clipped", "exploiter": "pool", "baseline": "group"}
"""What the reasoned style leaves of training on J: what a model writes is known from episodes alone."""


def _check_sampled(arm: str, section: TrainSection) -> None:
    for name, wanted in SAMPLED.items():
        if (found := getattr(section, name)) != wanted:
            raise ValueError(f"arm '{arm}': in the reasoned style train.{name} is '{wanted}', not '{found}'")
    if section.lambda_.budgets:
        raise ValueError(f"arm '{arm}': in the reasoned style weights are fixed: give lambda no budget")


def weights(section: LambdaSection, default: Weights) -> Weights:
    """Return the lambdas of a recipe over those of a measure set; those that are ``auto`` start there."""
    given = (section.e, section.c, section.x)
    return Weights(*(d if w is None or w == "auto" else float(w) for w, d in zip(given, default, strict=True)))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` on top, mapping by mapping."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        out[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return out


def load_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` settings (dotted keys; arms by name).

    Raises
    ------
    InputError
        Naming the file, the key and what is wrong.
    """
    document = read_document(path, settings)
    if is_joint(document):
        raise InputError(f"recipe '{path}' is of several games, which only `sepo run` takes: give one of theirs")
    return parse_recipe(document, str(path))


def is_joint(document: Mapping[str, Any]) -> bool:
    """Return whether a recipe's document is of several games; see ``train.joint``."""
    return "games" in document


def read_document(path: Path, settings: Sequence[str] = ()) -> dict[str, Any]:
    """Read the document of a recipe file and apply settings; see ``load_recipe``."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no recipe at '{path}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read recipe '{path}': {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"recipe '{path}' is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"recipe '{path}' must be a mapping of keys to values")
    for setting in settings:
        set_key(document, setting)
    return document


def parse_recipe(document: Mapping[str, Any], where: str) -> Recipe:
    """Validate a recipe's document; see ``load_recipe``."""
    return validated(Recipe, document, where)


def validated(kind: type[S], document: Mapping[str, Any], where: str) -> S:
    """Validate the document of a recipe of a kind; see ``load_recipe``."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise InputError(f"recipe '{where}': unknown key '{key}'") from None
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"recipe '{where}'{f', key {key!r}' if key else ''}: {message}") from None


def set_key(document: dict[str, Any], setting: str) -> None:
    """Apply one ``key=value`` setting to a recipe's document, in place; see ``load_recipe``."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise InputError(f"--set takes key=value, not '{setting}'")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {setting}: the value is not YAML: {error}") from None
    at: Any = document
    *way, last = key.split(".")
    for part in way:
        if isinstance(at, list):
            named = [a for a in at if isinstance(a, dict) and a.get("name") == part]
            if not named:
                raise InputError(f"--set {setting}: no arm is named '{part}'")
            at = named[0]
        else:
            at = at.setdefault(part, {})
        if not isinstance(at, dict | list):
            raise InputError(f"--set {setting}: '{part}' holds a value, not keys")
    if isinstance(at, list):
        raise InputError(f"--set {setting}: name a key of the arm '{last}'")
    at[last] = value
