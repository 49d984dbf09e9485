"""What a training run is told: one frozen record for each kind, read strictly from one YAML file. It knows no torch.

The defaults are those of RankVideo (arXiv 2602.02444, section 4 and its code): what the paper and the code disagree on is the
paper's, unless `preset: repository` asks for the code's.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from rankvideo_rag.errors import InputError
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec, get_prompt_spec
from rankvideo_rag.schema import FrameBudget, Record

USED = "used"
"""The key under which a finished run tells what it used; reading a configuration passes it over."""


class LoraOptions(Record):
    """Low-rank adapters beside the language model's matrices."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class TrainingConfig(Record):
    """What all kinds of training have in common."""

    model: str = Field(min_length=1)  # hub name or folder of the checkpoint to start from
    output: str = Field(min_length=1)  # folder: model/ and curve.jsonl, and while it runs steps/
    data: str | None = None  # a file of TrainingExamples; None where Python code passes them

    # What is trained.
    adapter: Literal["none", "lora", "qlora"] = "lora"  # none: every weight
    lora: LoraOptions = LoraOptions()
    merge: bool = False  # write base and adapter as one model too, which any backend loads
    # frozen: not trained. cached: nor computed twice, each video's features are kept in memory (of what fits there).
    vision: Literal["trained", "frozen", "cached"] = "frozen"

    # How long and how fast.
    epochs: float = Field(2.0, gt=0)
    max_steps: int | None = Field(None, ge=1)  # in place of epochs
    gradient_accumulation: int = Field(8, ge=1)  # batches to a step
    shuffle: bool = True  # False: in the order of the file, easy ones first for example
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = Field(1e-5, gt=0)
    adamw_learning_rate: float | None = Field(None, gt=0)  # with muon: of what is no matrix inside a block; None: the same
    weight_decay: float = Field(0.0, ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    schedule: Literal["cosine", "constant", "decay"] = "cosine"  # decay: constant, then linear to 0
    warmup_share: float = Field(0.03, ge=0, lt=1)  # of all steps
    decay_share: float = Field(0.4, gt=0, le=1)  # of all steps, for `decay`
    seed: int = Field(42, ge=0)

    # How it runs.
    device: Literal["auto", "cpu"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where a GPU has it
    gradient_checkpointing: bool = True
    workers: int = Field(0, ge=0)  # processes that read videos ahead
    keep_frames: bool = False  # of every video, in memory, after they were first read
    resume: bool = False  # from the last checkpoint in `output`
    save_steps: int | None = Field(None, ge=1)  # a checkpoint to resume from every so many steps; None: at the end only
    log_steps: int = Field(10, ge=1)
    report_to: Literal["none", "tensorboard", "wandb"] = "none"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.adapter != "none" and self.vision == "trained":
            raise ValueError("vision: trained needs adapter: none, as adapters stand in the language model only")
        if self.adapter != "none" and self.optimizer == "muon":
            raise ValueError("optimizer: muon needs adapter: none, as it is made for whole matrices")
        if self.merge and self.adapter == "none":
            raise ValueError("merge: true needs an adapter to merge: set adapter: lora, or leave merge out")
        if self.vision == "cached" and self.workers:
            raise ValueError("vision: cached needs workers: 0, as the features are kept in one process")
        if self.warmup_share + (self.decay_share if self.schedule == "decay" else 0) > 1:
            raise ValueError("warmup_share and decay_share add up to more than all steps")
        return self


class PerceptionConfig(TrainingConfig):
    """Stage one: captions of videos, written inside <think>."""

    epochs: float = Field(1.0, gt=0)
    gradient_accumulation: int = Field(16, ge=1)
    batch_size: int = Field(1, ge=1)  # videos to a batch
    frames: FrameBudget = FrameBudget(max_pixels=768 * 32 * 32)  # the paper has 2 frames a second, at most 32


class SelectionConfig(TrainingConfig):
    """Which checkpoint is kept: the one that orders the first stage's pools best."""

    # A file of TrainingExamples: all candidates of each query, in the first stage's order. None: the last checkpoint is kept.
    pools: str | None = None
    qrels: str | None = None  # TREC judgements of the pools' queries; None: the labels in the pools
    eval_steps: int = Field(100, ge=1)  # a checkpoint is judged, and if it is the best one kept, every so many steps
    eval_batch_size: int = Field(16, ge=1)

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        if self.qrels and not self.pools:
            raise ValueError("qrels judge the order of pools: give pools too")
        return self


def _spec(value: Any) -> Any:
    return get_prompt_spec(value) if isinstance(value, str) else value


Objective = Literal["ranking", "pairwise", "pointwise", "bce", "ranknet", "lambdarank", "listnet"]


class RerankerConfig(SelectionConfig):
    """Stage two: yes or no to a question about a video, learnt from groups of one query's videos."""

    preset: Literal["paper", "repository"] = "paper"  # repository: 1 negative, lambda_pointwise 1
    # A name, as `rankvideo-train`, or a PromptSpec written out. It goes with the checkpoint, so that use cannot differ.
    prompt: Annotated[PromptSpec, BeforeValidator(_spec)] = get_prompt_spec("rankvideo-train")
    frames: FrameBudget | None = None  # None: the prompt's own
    negatives: int = Field(2, ge=1)  # for each positive
    groups_per_batch: int = Field(1, ge=1)
    unanswerable: bool = False  # also learn from queries that none of their videos answers: their videos get a no
    objective: Objective = "ranking"
    tau_pair: float = Field(10.0, gt=0)
    tau_teacher: float = Field(5.0, gt=0)
    tau_pointwise: float = Field(1.0, gt=0)
    lambda_teacher: float = Field(5.0, ge=0)  # 0: without the teacher
    lambda_pointwise: float = Field(0.5, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _of_repository(cls, given: Any) -> Any:
        repository = {"negatives": 1, "lambda_pointwise": 1.0}
        return repository | given if isinstance(given, dict) and given.get("preset") == "repository" else given

    @property
    def spec(self) -> PromptSpec:
        """The prompt with the frames that are read for it."""
        return self.prompt.model_copy(update={"frames": self.frames}) if self.frames else self.prompt


class EmbedderConfig(SelectionConfig):
    """Questions and videos into one space, by InfoNCE over the videos of a batch.

    Temperature, learning rate, alpha and the size of a group are OmniEmbed's (Tevatron, examples/multimodal/qwen_omni). Frames
    are those that the sentence_transformers backend reads for the model.
    """

    adapter: Literal["none", "lora"] = "lora"  # always merged: the backend loads whole models
    lora: LoraOptions = LoraOptions(alpha=64)
    learning_rate: float = Field(1e-4, gt=0)
    epochs: float = Field(1.0, gt=0)
    gradient_accumulation: int = Field(4, ge=1)
    negatives: int = Field(3, ge=1)  # for each query, beside the other queries' videos
    groups_per_batch: int = Field(8, ge=1)
    tau: float = Field(0.02, gt=0)
    # None: the model's own. One that is no embedder yet gets `Query: ` and an empty one.
    query_prompt: str | None = None
    document_prompt: str | None = None
    # What a judge thinks (UniME-V2, arXiv 2510.13515): a folder of VIDEO_reranking_MODEL.json files; None: the teacher of the
    # examples (teacher_logit_delta). What it finds as good as the relevant video less `drop_within`, in p(yes), is no negative;
    # with `drop_within` None all are.
    judge: str | None = None
    drop_within: float | None = Field(0.01, ge=0)
    lambda_judge: float = Field(0.0, ge=0)  # weight of the judge's shares as soft labels


Kind = TypeVar("Kind", bound=TrainingConfig)


def read_config(path: str | Path, kind: type[Kind], **instead: Any) -> Kind:
    """The configuration in a YAML file, with `instead` of what it says. A finished run's training.yaml is one too.

    Raises InputError for what is no YAML, a key that stands twice or that the kind has not, and a value that cannot be.
    """
    try:
        given = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Strict)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {error}") from error
    if not isinstance(given, dict):
        raise InputError(f"{path}: `key: value` lines are needed, such as `model: Qwen/Qwen3-VL-2B-Instruct`")
    try:
        return kind.model_validate({key: value for key, value in (given | instead).items() if key != USED})
    except ValidationError as error:
        raise InputError(f"{path}: {'; '.join(_fault(fault, kind) for fault in error.errors())}") from error


def _fault(fault: Any, kind: type[TrainingConfig]) -> str:
    place = ".".join(map(str, fault["loc"])) or "the whole"
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        return f"unknown key {place!r}: known are {', '.join(kind.model_fields)}"
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}"


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, of which one would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"the key {twice[0]!r} stands twice")
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found
