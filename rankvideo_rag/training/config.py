"""Training configurations: one frozen record for each kind of training, read strictly from a YAML file.

The defaults are RankVideo's (arXiv 2602.02444, section 4 and its code); where paper and code differ, the paper's, unless
`preset: repository` is set.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from rankvideo_rag.errors import InputError
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec, get_prompt_spec
from rankvideo_rag.schema import FrameBudget, Record

USED = "used"
"""The key of a finished run's record under which its inputs and outcome are; ignored in a configuration."""


class LoraOptions(Record):
    """Low-rank adapters of the language model."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class TrainingConfig(Record):
    """Options of all kinds of training."""

    model: str = Field(min_length=1)  # Hub name or folder of the checkpoint to start from
    output: str = Field(min_length=1)  # folder for model/ and curve.jsonl, and steps/ during training
    data: str | None = None  # a file of TrainingExamples; None where they are passed in Python

    # Trained weights.
    adapter: Literal["none", "lora", "qlora"] = "lora"  # none: train all weights
    lora: LoraOptions = LoraOptions()
    merge: bool = False  # also write base and adapter as one model, which any backend loads
    # The vision encoder. cached: frozen, and each video's features are computed once and kept in memory.
    vision: Literal["trained", "frozen", "cached"] = "frozen"

    # Schedule.
    epochs: float = Field(2.0, gt=0)
    max_steps: int | None = Field(None, ge=1)  # instead of epochs
    gradient_accumulation: int = Field(8, ge=1)  # batches per step
    shuffle: bool = True  # False: in file order, for a curriculum
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = Field(1e-5, gt=0)
    adamw_learning_rate: float | None = Field(None, gt=0)  # with muon, of the other weights; None: the same
    weight_decay: float = Field(0.0, ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    schedule: Literal["cosine", "constant", "decay"] = "cosine"  # decay: constant, then linear decay to 0
    warmup_share: float = Field(0.03, ge=0, lt=1)  # of all steps
    decay_share: float = Field(0.4, gt=0, le=1)  # of all steps, for `decay`
    seed: int = Field(42, ge=0)

    # Execution.
    device: Literal["auto", "cpu"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU that has it, else float32
    gradient_checkpointing: bool = True
    workers: int = Field(0, ge=0)  # processes that prefetch videos
    keep_frames: bool = False  # keep the frames of all videos in memory
    resume: bool = False  # from the last checkpoint in `output`
    save_steps: int | None = Field(None, ge=1)  # interval of checkpoints to resume from; None: none before the end
    log_steps: int = Field(10, ge=1)
    report_to: Literal["none", "tensorboard", "wandb"] = "none"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.adapter != "none" and self.vision == "trained":
            raise ValueError("vision: trained needs adapter: none, as adapters are added to the language model only")
        if self.adapter != "none" and self.optimizer == "muon":
            raise ValueError("optimizer: muon needs adapter: none, as it updates whole weight matrices")
        if self.merge and self.adapter == "none":
            raise ValueError("merge: true needs an adapter to merge: set adapter: lora, or leave merge out")
        if self.vision == "cached" and self.workers:
            raise ValueError("vision: cached needs workers: 0, as features are cached in one process")
        if self.warmup_share + (self.decay_share if self.schedule == "decay" else 0) > 1:
            raise ValueError("warmup_share and decay_share add up to more than all steps")
        return self


class PerceptionConfig(TrainingConfig):
    """Stage one: captions of videos, written inside <think>."""

    epochs: float = Field(1.0, gt=0)
    gradient_accumulation: int = Field(16, ge=1)
    batch_size: int = Field(1, ge=1)  # videos per batch
    frames: FrameBudget = FrameBudget(max_pixels=768 * 32 * 32)  # the paper: 2 frames per second, at most 32


class SelectionConfig(TrainingConfig):
    """Groups of one query's videos, and selection of the checkpoint that ranks the first stage's candidates best."""

    # A file of TrainingExamples with all candidates of each query, in the first stage's order. None: keep the last checkpoint.
    pools: str | None = None
    qrels: str | None = None  # TREC judgements of the pools' queries; None: the labels in the pools
    eval_steps: int = Field(100, ge=1)  # interval of evaluations; the best checkpoint is kept
    eval_batch_size: int = Field(16, ge=1)
    negatives: int = Field(2, ge=1)  # for each positive
    groups_per_batch: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        if self.qrels and not self.pools:
            raise ValueError("qrels are judgements for pools: give pools too")
        return self


def _spec(value: Any) -> Any:
    return get_prompt_spec(value) if isinstance(value, str) else value


Objective = Literal["ranking", "pairwise", "pointwise", "bce", "ranknet", "lambdarank", "listnet"]


class RerankerConfig(SelectionConfig):
    """Stage two: a yes/no reranker from groups of one query's videos."""

    preset: Literal["paper", "repository"] = "paper"  # repository: 1 negative, lambda_pointwise 1
    # A name such as `rankvideo-train`, or the fields of a PromptSpec. It is saved with the checkpoint.
    prompt: Annotated[PromptSpec, BeforeValidator(_spec)] = get_prompt_spec("rankvideo-train")
    frames: FrameBudget | None = None  # None: the prompt's own
    unanswerable: bool = False  # also train on queries without a relevant video
    objective: Objective = "ranking"
    tau_pair: float = Field(10.0, gt=0)
    tau_teacher: float = Field(5.0, gt=0)
    tau_pointwise: float = Field(1.0, gt=0)
    lambda_teacher: float = Field(5.0, ge=0)  # 0: without the teacher
    lambda_pointwise: float = Field(0.5, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, given: Any) -> Any:
        repository = {"negatives": 1, "lambda_pointwise": 1.0}
        return repository | given if isinstance(given, dict) and given.get("preset") == "repository" else given

    @property
    def spec(self) -> PromptSpec:
        """Return the prompt with the configured frame budget."""
        return self.prompt.model_copy(update={"frames": self.frames}) if self.frames else self.prompt


class EmbedderConfig(SelectionConfig):
    """An embedder of queries and videos, by InfoNCE over the videos of a batch.

    Temperature, learning rate, alpha and group size are OmniEmbed's (Tevatron, examples/multimodal/qwen_omni). Frames are read
    as by the sentence_transformers backend.
    """

    adapter: Literal["none", "lora"] = "lora"  # always merged: the backend loads whole models
    lora: LoraOptions = LoraOptions(alpha=64)
    learning_rate: float = Field(1e-4, gt=0)
    epochs: float = Field(1.0, gt=0)
    gradient_accumulation: int = Field(4, ge=1)
    negatives: int = Field(3, ge=1)  # for each query, in addition to the other queries' videos
    groups_per_batch: int = Field(8, ge=1)
    tau: float = Field(0.02, gt=0)
    # None: the model's own; for a checkpoint that is no embedder yet, `Query: ` and none.
    query_prompt: str | None = None
    document_prompt: str | None = None
    # Relevance scores of a judge (UniME-V2, arXiv 2510.13515): a folder of VIDEO_reranking_MODEL.json files; None: those of the
    # examples' teacher (teacher_logit_delta). A video whose p(yes) is above the best positive's less `drop_within` is not used
    # as a negative; None: all are.
    judge: str | None = None
    drop_within: float | None = Field(0.01, ge=0)
    lambda_judge: float = Field(0.0, ge=0)  # weight of the judge's scores as soft labels


Kind = TypeVar("Kind", bound=TrainingConfig)


def read_config(path: str | Path, kind: type[Kind], **overrides: Any) -> Kind:
    """Read a configuration, such as a finished run's training.yaml, from a YAML file; `overrides` replace its values.

    Raises InputError for invalid YAML, a repeated or unknown key, and an invalid value.
    """
    try:
        given = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Strict)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(given, dict):
        raise InputError(f"{path}: `key: value` lines are needed, such as `model: Qwen/Qwen3-VL-2B-Instruct`")
    try:
        return kind.model_validate({key: value for key, value in (given | overrides).items() if key != USED})
    except ValidationError as error:
        raise InputError(f"{path}: {'; '.join(_describe(problem, kind) for problem in error.errors())}") from error


def _describe(problem: Any, kind: type[TrainingConfig]) -> str:
    place = ".".join(map(str, problem["loc"])) or "the configuration"
    if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
        return f"unknown key {place!r}: known are {', '.join(kind.model_fields)}"
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}"


class _Strict(yaml.SafeLoader):
    """A loader that refuses repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"the key {twice[0]!r} is repeated")
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found
