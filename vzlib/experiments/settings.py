"""What can be chosen in each analysis. One class per notebook; nothing here imports torch."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Images = Literal["photographs", "scenes"]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
AnyMethod = Literal[
    "visionzip", "visionzip-paper", "fastervlm", "vispruner", "divprune", "prumerge-plus", "tome",
    "pooling", "uniform", "random", "fastv", "sparsevlm", "pyramiddrop",
]  # fmt: skip
Llava = Literal[
    "llava-1.5-7b", "llava-1.5-13b", "llava-next-7b", "llava-next-13b", "llava-small",
    "llava-small-2x",
]  # fmt: skip


class Settings(BaseModel):
    """Settings are frozen, and an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Quickstart(Settings):
    """00_quickstart: zip a model, see the kept tokens, ask questions."""

    model: str = "pico"
    retain: int = Field(64, ge=1)  # visual tokens handed to the language model
    merge: Literal["code", "paper"] = "code"
    scene: int = Field(5, ge=0)  # number of the test scene
    photograph: str = "rocket"  # a test photograph of vzlib.scenes, or an image file
    photograph_question: str = "is there a red circle ?"
    photograph_answer: str = "no"


class Redundancy(Settings):
    """01_redundancy: how unevenly visual tokens receive attention at the layer that is read."""

    model: str = "pico"
    layer: int = -2  # index into the tower's hidden_states
    images: tuple[Images, ...] = Field(("photographs", "scenes"), min_length=1)
    count: int = Field(96, ge=2)  # images of each kind; intervals are over these
    dominant: tuple[Positive, ...] = Field((64, 128, 192), min_length=1)  # tokens called dominant
    near_zero: float = Field(0.1, gt=0, lt=1)  # part of the largest weight that counts as zero
    seed: int = Field(0, ge=0)  # of the crops of photographs


class AttentionByLayer(Settings):
    """02_attention_by_layer: how concentrated attention is in every layer of the vision tower."""

    model: str = "pico"
    images: tuple[Images, ...] = Field(("photographs", "scenes"), min_length=1)
    count: int = Field(96, ge=2)  # images of each kind; intervals are over these
    shown: int = Field(0, ge=0)  # number of the image of each kind whose maps are drawn
    seed: int = Field(0, ge=0)  # of the crops of photographs


class SoftmaxGradient(Settings):
    """03_softmax_gradient: the derivative of the softmax, and where attention lies on it."""

    model: str = "pico"
    scenes: int = Field(32, ge=2)  # intervals are over these
    lengths: tuple[Annotated[int, Field(ge=2)], ...] = (2, 16, 577)  # tokens that share a softmax
    exponential: float = Field(0.05, gt=0, lt=0.5)  # attention up to which growth counts as such


class FeatureMisalignment(Settings):
    """04_feature_misalignment: where the attention of a token on an object goes."""

    model: str = "pico"
    layer: int = -2  # index into the tower's hidden_states
    scenes: int = Field(96, ge=2)  # intervals are over these
    retained: tuple[Positive, ...] = Field((64, 128, 192), min_length=1)  # tokens for the LLM
    radius: float = Field(3.0, gt=0)  # patches around a query point that count as near


class TokenBudget(Settings):
    """06_token_budget: accuracy against visual tokens, every method on the same questions."""

    model: str = "pico"
    questions: str = "scenes"  # or a file of your own, see vzlib.experiments.question_file
    each: int = Field(200, ge=2)  # questions per task
    methods: tuple[AnyMethod, ...] = Field(get_args(AnyMethod), min_length=1)
    budgets: tuple[Positive, ...] = Field((288, 192, 128, 64, 32), min_length=1)
    equalise: Literal["layer average", "last layer"] = "layer average"
    seeds: tuple[NotNegative, ...] = Field((0,), min_length=1)  # of the methods that draw


class MisalignmentAblation(Settings):
    """05_misalignment_ablation: offer text-guided selectors fewer of the encoder's best tokens."""

    model: str = "pico"
    questions: str = "scenes"  # or a file of questions, see vzlib.experiments.question_file
    each: int = Field(100, ge=2)  # questions per task
    seeds: tuple[NotNegative, ...] = Field((0, 1), min_length=1)  # of whatever draws
    selectors: tuple[Literal["sparsevlm", "fastv"], ...] = Field(
        ("sparsevlm", "fastv"), min_length=1
    )
    removed: int = Field(50, ge=1)  # Ex1 takes away so many of 576, scaled to the model's patches
    offered: int = Field(128, ge=1)  # Ex2 offers so many of 576
    kept: int = Field(64, ge=1)  # of 576; what the last layer sees in every condition
    ex2: Literal["dominant", "zipped"] = "dominant"  # reading of "top 128" that is the paper's Ex2

    @model_validator(mode="after")
    def _fit(self) -> "MisalignmentAblation":
        if not self.kept < self.offered < 576 or self.kept > 576 - self.removed:
            raise ValueError(
                f"kept={self.kept} must be below offered={self.offered}, that below 576, and at "
                f"most 576 - removed={self.removed}"
            )
        return self


class DominantContextual(Settings):
    """07_dominant_contextual: the split of the budget and the other choices, one at a time."""

    model: str = "pico"
    questions: str = "scenes"  # or a file of questions, see vzlib.experiments.question_file
    each: int = Field(100, ge=2)  # questions per task
    # Visual tokens per image; fewer than 12 cannot be split in all the ways that are compared.
    totals: tuple[Annotated[int, Field(ge=12)], ...] = Field((64, 128, 192), min_length=1)


class Claims(Settings):
    """15_claims: every claim of the paper beside what the store of results holds."""

    model: str = "pico"
    questions: str = "scenes"  # or a file of questions, see vzlib.experiments.question_file
    scale: Literal["quick", "default", "paper"] = "default"  # params/<notebook>/<scale>.yaml
    # What else was changed when a notebook ran, such as {"06_token_budget": {"each": 1000}}.
    evidence: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _evidence_exists(self) -> "Claims":
        from vzlib.claims.evidence import check

        check(self)
        return self


class Efficiency(Settings):
    """08_efficiency: time by part, memory and FLOPs, on models with random weights."""

    geometry: Llava = "llava-small"  # see vzlib.efficiency.geometry
    larger: Llava | None = "llava-small-2x"  # stands to it as 13B to 7B; VisionZip and vanilla only
    device: str = "auto"  # or "cpu", "cuda"; or the name of a device whose results are stored
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    methods: tuple[Literal["visionzip", "visionzip-usual", "fastv", "sparsevlm"], ...] = Field(
        ("visionzip", "visionzip-usual", "fastv", "sparsevlm"), min_length=1
    )
    compiled: bool = False  # all tokens and VisionZip with a compiled prefill, too
    budgets: tuple[Positive, ...] = Field((640, 320, 160), min_length=1)  # for all views together
    before: int = Field(35, ge=1)  # tokens of the prompt before the image
    after: int = Field(25, ge=1)  # and after it
    new_tokens: int = Field(8, ge=2)  # words of the answer
    repetitions: int = Field(20, ge=4)
    limit: float = Field(0.25, gt=0)  # widest interquartile range / median that is reported

    @model_validator(mode="after")
    def _two_geometries(self) -> "Efficiency":
        if self.geometry == self.larger:
            raise ValueError(f"larger={self.larger!r} must differ from geometry")
        return self
