"""The sections of a recipe: which keys there are, what they may hold, and what they mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sepo.errors import InputError
from sepo.games.base import MeasureName, Weights
from sepo.lm.template import hold_to_text

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What a run is seeded with; libraries take no other."""


class Section(BaseModel):
    """A part of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class ModelSection(Section):
    """The model and what of it is trained."""

    policy: Annotated[str, Field(description="the model that training starts from, as a POLICY string")] = (
        "bundled:smollm2"
    )
    dtype: Annotated[
        Literal["float32", "bfloat16"], Field(description="of the frozen weights in training; audits are in float32")
    ] = "float32"
    adapter: Annotated[Literal["lora", "full"], Field(description="train LoRA matrices, or all weights")] = "lora"
    rank: Annotated[int, Field(ge=1, description="LoRA's rank")] = 16
    alpha: Annotated[int, Field(ge=1, description="LoRA's alpha: updates are scaled by alpha / rank")] = 32
    targets: Annotated[
        Literal["attention", "linear"], Field(description="adapt the attention's projections, or all linear layers")
    ] = "linear"
    layers: Annotated[int | None, Field(ge=1, description="with LoRA, adapt only the last so many layers")] = None
    budget: Annotated[int, Field(ge=1, description="tokens of one forward pass")] = 1536
    template: dict[str, Any] = Field(default_factory=dict, description="arguments of the chat template")

    @model_validator(mode="after")
    def _template_is_of_the_text(self) -> ModelSection:
        try:
            hold_to_text(self.template, "template")
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _layers_are_adapted(self) -> ModelSection:
        if self.adapter == "full" and self.layers is not None:
            raise ValueError("layers are of adapter 'lora': with 'full' all weights are trained, so leave layers away")
        return self


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
    gradient_checkpointing: Annotated[bool, Field(description="less memory, more time")] = False
    vllm: Annotated[
        Literal["off", "colocate", "server"], Field(description="whether vLLM writes in training, and where it runs")
    ] = "off"
    vllm_server: Annotated[str, Field(description="base URL of `trl vllm-serve`")] = "http://127.0.0.1:8000"
    report_to: Annotated[list[str], Field(description="trackers of transformers, such as wandb or tensorboard")] = []


class Schedule(Section):
    """Adam's learning rate: a linear warm-up, then a decay to 0 over the rest of the steps."""

    steps: Annotated[int, Field(ge=0, description="updates of the model")] = 80
    learning_rate: Annotated[float, Field(gt=0, description="at its highest, after the warm-up")] = 3e-4
    warmup: Annotated[int, Field(ge=0, description="steps over which it rises from 0")] = 5
    decay: Annotated[Literal["cosine", "linear", "none"], Field(description="how it falls afterwards")] = "cosine"
    clip_norm: Annotated[float, Field(gt=0, description="largest norm of a gradient")] = 1.0
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
        Field(
            description="Adam's; with the usual second one the large gradients of the start damp a short run to its end"
        ),
    ] = (0.9, 0.999)


class SftSection(Schedule):
    """Supervised fine-tuning on demonstrations."""

    steps: Annotated[int, Field(ge=0, description="updates of the model")] = 30
    decay: Annotated[Literal["cosine", "linear", "none"], Field(description="how the rate falls")] = "none"
    examples: Annotated[
        int,
        Field(
            ge=1,
            description="demonstrated decisions, a fifth of them held back; large games draw `episodes` of them a step",
        ),
    ] = 7000
    episodes: Annotated[int, Field(ge=1, description="episodes whose decisions a step of a large game scores")] = 16


Weight = Annotated[float, Field(ge=0)] | Literal["auto"] | None


class LambdaSection(Section):
    """Weights of the penalties; what is left out keeps the measure set's weight.

    A weight that is ``auto`` is found by dual ascent, so that its measure keeps the ``budget``: one number for all of
    them, or one each. It starts at the measure set's weight. See ``train.dual``.
    """

    e: Annotated[Weight, Field(description="weight of exploitability")] = None
    c: Annotated[Weight, Field(description="weight of collusion")] = None
    x: Annotated[Weight, Field(description="weight of externality")] = None
    budget: Annotated[
        Annotated[float, Field(ge=0)] | dict[Literal["e", "c", "x"], Annotated[float, Field(ge=0)]] | None,
        Field(description="what the measures whose weight is auto may be: one number, or one each"),
    ] = None
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

    start: Annotated[float, Field(ge=0, description="the bonus at the first step, and at all where `over` is 0")] = 0.0
    end: Annotated[float, Field(ge=0, description="the bonus from step `over` on")] = 0.0
    over: Annotated[int, Field(ge=0, description="steps from the one to the other; 0: it stays at `start`")] = 0

    @model_validator(mode="after")
    def _an_end_is_come_to(self) -> EntropySection:
        if self.end and self.end != self.start and not self.over:
            raise ValueError(f"end {self.end:g} needs over, the steps to it: without, the bonus stays at start")
        return self


class MirrorSection(Section):
    """Magnetic mirror descent on the table; see ``train.mirror``."""

    eta: Annotated[float, Field(gt=0, description="step size on the table")] = 10.0
    alpha: Annotated[float, Field(ge=0, description="pull towards the uniform policy")] = 0.005
    steps: Annotated[int, Field(ge=1, description="steps on the table for a target")] = 500
    decay: Annotated[
        float | None,
        Field(
            gt=0,
            description="step k on the table is of size eta / (1 + k / decay); unless given it is 5, or 50 where a "
            "weight has a budget",
        ),
    ] = None
    values: Annotated[
        Literal["counterfactual", "mean"],
        Field(description="advantages as they are, or divided by how often a state is met whatever the learner does"),
    ] = "counterfactual"
    inertia: Annotated[
        float, Field(ge=0, lt=1, description="weight of the last target, against the policy, in where the next starts")
    ] = 0.0
    focus: Annotated[
        float,
        Field(ge=0, description="what a decision loses against the target where it weighs half; 0: all weigh alike"),
    ] = 0.0
    meets: Annotated[
        Literal["weights", "losses"],
        Field(
            description="in a large game, whether opponents are met by the weight of their terms, or by that times "
            "what `focus` leaves of it: episodes go where there is something to learn, the loss stays the same"
        ),
    ] = "weights"
    projections: Annotated[int, Field(ge=1, description="model updates per table target")] = 4
    learns: Annotated[
        Literal["policy", "replies"],
        Field(
            description="what a projection is the cross-entropy of: the policy over all legal actions, or whole reply "
            "strings, of which only those that the target plays are scored"
        ),
    ] = "policy"

    knows: Annotated[
        Literal["asked", "scored"],
        Field(
            description="where `replies` are learnt, what a target knows of the policy: what it was asked for that, or "
            "also what updates saw of the replies that they scored"
        ),
    ] = "asked"

    @model_validator(mode="after")
    def _losses_are_those_of_focus(self) -> MirrorSection:
        if self.meets == "losses" and not self.focus:
            raise ValueError("meets 'losses' needs a focus above 0: without one all decisions weigh alike")
        return self


class TrainSection(Schedule):
    """Training on J; see ``train.objective`` and ``train.direct``."""

    measures: Annotated[MeasureName | None, Field(description="the set whose J is trained on; null: the recipe's")] = (
        None
    )
    lambda_: LambdaSection = Field(default_factory=LambdaSection, alias="lambda")
    margin: Annotated[
        float,
        Field(
            ge=0,
            description="points per round by which an exploiter must be behind before it counts no more; figures are "
            "without it",
        ),
    ] = 0.0
    start: Annotated[Literal["sft", "base"], Field(description="the model that training on J starts from")] = "sft"
    credit: Annotated[
        Literal["credited", "rollout", "constant"], Field(description="which actions a penalty is charged to")
    ] = "credited"
    estimator: Annotated[
        Literal["exact", "sampled"], Field(description="weights of actions from the game tree, or from rollouts")
    ] = "exact"
    scale: Annotated[
        Literal["joint", "group", "none"],
        Field(description="advantages divided by one number a step, by one a group as published, or not at all"),
    ] = "joint"
    returns: Annotated[
        Literal["to_go", "immediate"], Field(description="payoffs that an action is credited with: all later, or next")
    ] = "to_go"
    baseline: Annotated[
        Literal["group", "value"],
        Field(description="what a rollout is compared with: the others of its group, or the state's exact value"),
    ] = "group"
    groups: Annotated[int, Field(ge=1, description="groups of rollouts of a step, for each opponent and seat")] = 64
    group_size: Annotated[int, Field(ge=2, description="rollouts of a group, which share cards and coins")] = 8
    exploiter: Annotated[
        Literal["pool", "best_response", "both", "growing", "league"],
        Field(description="whom e is charged against: scripts, best responses, both, all found so far, or past selves"),
    ] = "best_response"
    best_response_every: Annotated[int, Field(ge=1, description="steps between two searches for an exploiter")] = 1
    update: Annotated[
        Literal["clipped", "mmd"], Field(description="clipped ratios, or mirror descent on the table and a projection")
    ] = "mmd"
    target: Annotated[
        Literal["mirror", "ceiling"],
        Field(description="what mmd projects onto: the policy's own table improved, or the best policy there is"),
    ] = "mirror"
    worst_case: Annotated[
        float | None,
        Field(
            description="with target 'ceiling': points per round that any opponent may be ahead of it; null: no matter"
        ),
    ] = None
    clip: Annotated[float, Field(gt=0, lt=1, description="how far a ratio may be from 1 in a clipped update")] = 0.2
    mirror: MirrorSection = Field(default_factory=MirrorSection)
    kl: Annotated[float, Field(ge=0, description="weight of the KL divergence to the starting policy")] = 0.0
    entropy: EntropySection = Field(default_factory=EntropySection)
    legal_mass: Annotated[float, Field(ge=0, description="weight of the term that keeps mass on legal replies")] = 0.1
    episodes: Annotated[int, Field(ge=1, description="episodes whose decisions a step of a large game scores")] = 32
    states: Annotated[int, Field(ge=1, description="decisions asked about before a table target is set")] = 256
    coverage: Annotated[
        float, Field(ge=0, le=1, description="share of uniform play in the reach that weighs decisions")
    ] = 0.5

    @model_validator(mode="after")
    def _targets_are_projected_onto(self) -> TrainSection:
        if self.target == "ceiling" and self.update != "mmd":
            raise ValueError("target 'ceiling' needs update 'mmd': a clipped update has no target")
        if self.worst_case is not None and self.target != "ceiling":
            raise ValueError("worst_case is of target 'ceiling': mirror descent knows the opponents of its terms alone")
        if self.target == "ceiling" and self.lambda_.budgets:
            raise ValueError("target 'ceiling' is the best policy at fixed weights: give lambda no budget")
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
    adversaries: Annotated[
        bool | None,
        Field(description="whether adversaries are let loose on the policy; null: in games that are scored whole"),
    ] = None
    best: Annotated[bool, Field(description="whether the best step is audited too, beside the last")] = True
    episodes: Annotated[
        int | None,
        Field(ge=2, description="clusters of episodes where figures are sampled; null: the audit's own number"),
    ] = None

    @property
    def cards(self) -> tuple[str, ...]:
        """Names of the policies that are audited, and of their scorecards."""
        return ("last", "best") if self.best else ("last",)


def weights(section: LambdaSection, default: Weights) -> Weights:
    """Return the lambdas of a recipe over those of a measure set; those that are ``auto`` start there."""
    given = (section.e, section.c, section.x)
    return Weights(*(d if w is None or w == "auto" else float(w) for w, d in zip(given, default, strict=True)))
