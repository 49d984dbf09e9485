"""Settings, from arguments, then RANKVIDEO_... variables, then rankvideo.toml, then the profile.

A profile is a set of models that go together. `tiny` needs no download: its models ship with the package and know only the
demo's rendered videos.
"""

from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import VideoReader

Profile = Literal["tiny", "cpu", "gpu"]
FAISS = "faiss"  # the vector store of this machine
SegmentBy = Literal["windows", "shots", "pyscenedetect", "speech"]
WindowAggregate = Literal["max", "noisy-or", "top-mean"]
FrameSampling = Literal["auto", "exact", "keyframes"]
EvidenceKind = Literal["picture", "text", "both"]

PROFILES: dict[str, dict[str, Any]] = {
    "tiny": {
        "embedder": "sentence_transformers",
        "embedder_model": "bundled:tiny-embedder",
        "text_embedder": "static",
        "text_embedder_model": "bundled:static-en",
        "reranker": "transformers",
        "reranker_model": "bundled:tiny-reranker",
        # It was trained on evenly spaced frames.
        "frame_sampling": "exact",
    },
    "cpu": {
        "embedder": "sentence_transformers",
        "embedder_model": "sentence-transformers/clip-ViT-B-32",
        "text_embedder": "sentence_transformers",
        "text_embedder_model": "intfloat/multilingual-e5-small",
        "reranker": "transformers",
        "reranker_model": "Qwen/Qwen3-VL-2B-Instruct",
        "cross_encoder": "sentence_transformers",
        "cross_encoder_model": "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1",
        "nli": "sentence_transformers",
        "nli_model": "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli",
        "asr": "whisper",
        "asr_model": "base",
    },
    "gpu": {
        "embedder": "sentence_transformers",
        "embedder_model": "Haon-Chen/e5-omni-7B",
        "text_embedder": "sentence_transformers",
        "text_embedder_model": "BAAI/bge-m3",
        "reranker": "transformers",
        "reranker_model": "hltcoe/RankVideo",
        "cross_encoder": "sentence_transformers",
        "cross_encoder_model": "BAAI/bge-reranker-v2-m3",
        "nli": "sentence_transformers",
        "nli_model": "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli",
        "asr": "whisper",
        "asr_model": "large-v3",
    },
}

# Approximate download size in bytes: parameters x 2 for bf16 weights, file sizes for the others.
DOWNLOAD_BYTES = {
    "bundled:tiny-embedder": 6_000_000,
    "bundled:tiny-reranker": 6_000_000,
    "sentence-transformers/clip-ViT-B-32": 605_000_000,
    "Qwen/Qwen3-VL-2B-Instruct": 4_260_000_000,
    "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1": 471_000_000,
    "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli": 560_000_000,
    "Haon-Chen/e5-omni-7B": 17_900_000_000,
    "BAAI/bge-reranker-v2-m3": 2_270_000_000,
    "bundled:static-en": 2_000_000,
    "intfloat/multilingual-e5-small": 471_000_000,
    "BAAI/bge-m3": 2_271_000_000,
    "hltcoe/RankVideo": 17_600_000_000,
    "base": 145_000_000,
    "large-v3": 3_090_000_000,
}


class Settings(BaseSettings):
    """Every option of a run. `given` names those that were set explicitly, directly or through an explicitly named profile."""

    model_config = SettingsConfigDict(
        env_prefix="RANKVIDEO_", toml_file="rankvideo.toml", extra="forbid", frozen=True, protected_namespaces=()
    )

    profile: Profile = Field("tiny", description="Models that go together: tiny, cpu or gpu.")
    given: frozenset[str] = Field(frozenset(), repr=False, exclude=True)
    device: str | None = Field(None, description="cpu, cuda, cuda:1; by default the best available.")
    gpu: bool = Field(False, description="Index and search vectors on a GPU, with faiss-gpu instead of faiss-cpu.")
    vector_store: str = Field(
        FAISS,
        description="Where vectors are searched: faiss (this machine), milvus:FILE.db, milvus:http://host:19530, or "
        "package.module:function that returns a LlamaIndex vector store.",
    )

    # How an archive is made: stored in it as its index configuration.
    embedder: str = Field("sentence_transformers", description="Embedding backend, or package.module:function.")
    embedder_model: str | None = Field(None, description="Embedding model: hub name or local path.")
    text_embedder: str = Field(
        "static",
        description="Embedding backend of spoken, shown and describing text: static, sentence_transformers, onnx, "
        "package.module:function, or none.",
    )
    text_embedder_model: str | None = Field(
        None, description="Embedding model of text: hub name, local path, or bundled:static-en (English)."
    )
    clip_seconds: float = Field(30.0, gt=0, description="Longest clip, in seconds.")
    clip_overlap: float = Field(0.0, ge=0, description="Overlap of neighboring clips, in seconds.")
    segment_by: SegmentBy = Field(
        "windows",
        description="Where videos are divided into clips: equal windows, shots, pyscenedetect (shots, by that package) or "
        "speech (its pauses).",
    )
    frame_sampling: FrameSampling = Field(
        "auto",
        description="Frames that are read: auto (key frames where each wanted frame has one within a second), keyframes (also "
        "where there are fewer) or exact (always the wanted frames).",
    )
    video_reader: VideoReader = Field("pyav", description="What decodes the frames of clips: pyav, or decord (extra decord).")
    audio_only: bool = Field(True, description="Index files without a picture too, by the text that is recognized in them.")
    subtitles: bool = Field(True, description="Use subtitle files and subtitle streams.")
    asr: str = Field("none", description="Speech recognition: whisper, faster_whisper, package.module:function, or none.")
    asr_model: str | None = Field(None, description="Speech recognition model: a name or a checkpoint file.")
    ocr: str = Field("auto", description="On-screen text: rapidocr, none, or auto (rapidocr where it is installed).")

    # How it is searched and asked.
    reranker: str = Field(
        "transformers", description="Reranker backend: transformers, vllm, server, recorded, package.module:function, or none."
    )
    reranker_model: str | None = Field(None, description="RankVideo checkpoint: hub name, local path or server address.")
    prompt: str | None = Field(None, description="Name of a PromptSpec; by default the checkpoint's own, else rankvideo.")
    evidence: EvidenceKind = Field(
        "both", description="What reranking scores: picture (the reranker's margin), text, or both, as one probability."
    )
    cross_encoder: str = Field(
        "none",
        description="Scores text for reranking: onnx, sentence_transformers, package.module:function, or none (by shared words "
        "and meaning).",
    )
    cross_encoder_model: str | None = Field(None, description="Cross-encoder: hub name or local path.")
    picture_calibration: tuple[float, float] | None = Field(
        None,
        description="Slope and intercept that turn the reranker's margins into probabilities, as eval calibrate fits them; by "
        "default those of the model.",
    )
    nli: str = Field(
        "none",
        description="Checks claims of a language model that rules leave open: sentence_transformers, package.module:function, "
        "or none (by rules alone).",
    )
    nli_model: str | None = Field(None, description="Natural language inference model: hub name or local path.")
    window_seconds: float | None = Field(
        None,
        gt=0,
        description="Score longer clips in windows of at most so many seconds; by default clips are scored whole.",
    )
    window_overlap: float = Field(0.0, ge=0, description="Seconds shared by neighbouring windows.")
    max_windows: int | None = Field(
        None, ge=1, description="Windows scored at full detail, chosen by a coarse pass; by default all."
    )
    window_aggregate: WindowAggregate = Field(
        "max", description="How windows' margins become one: max, noisy-or, or top-mean (the mean of the best)."
    )
    window_top: int = Field(3, ge=1, description="Windows that top-mean averages.")
    reasoning: Literal["auto", "always", "never"] = Field(
        "never", description="Generate a rationale before scoring; auto does so where the margin is in doubt."
    )
    reasoning_low: float = Field(-2.0, allow_inf_nan=False, description="Margins above this, in nats, may be in doubt.")
    reasoning_high: float = Field(2.0, allow_inf_nan=False, description="Margins below this, in nats, may be in doubt.")
    fusion_weights: str = Field(
        "",
        description="Weights of channels in fusion, where not the default: visual=0.5,speech_meaning=0; 0 switches one off. "
        "The channels are visual, speech, on_screen, description, and speech_meaning, on_screen_meaning, description_meaning.",
    )
    retrieve_depth: int = Field(100, ge=1, description="Clips taken from the fused channels.")
    rerank_depth: int = Field(20, ge=1, description="Clips that are reranked, of those retrieved.")
    top_n: int = Field(5, ge=1, description="Clips that an answer may cite, of those reranked.")
    min_margin: float = Field(
        0.0, allow_inf_nan=False, description="Margin in nats from which a clip counts as relevant to the question."
    )
    min_probability: float | None = Field(
        None, ge=0, le=1, description="Probability from which a quote is an answer; by default as fitted by bench quotes."
    )
    llm_timeout: float = Field(600.0, gt=0, description="Seconds to wait for a whole answer of the LLM at --llm-url.")
    llm_context: int | None = Field(
        None,
        ge=256,
        description="Context length in tokens of the LLM at --llm-url; by default as it reports, else 4096.",
    )
    score_cache: str | None = Field(
        None, description="File that keeps reranker scores, or none; by default rankvideo/scores.db in the user's cache folder."
    )

    # Where and how files are read.
    engine: Literal["local", "ray"] = Field("local", description="Where files are read: local, or ray (on a Ray cluster).")
    ray_address: str | None = Field(
        None, description="Address of the Ray cluster; by default $RAY_ADDRESS, else a cluster is started on this machine."
    )
    media_seconds: float = Field(60.0, gt=0, description="Least time limit of a call into the decoder process, in seconds.")
    media_bytes: int = Field(2 << 30, ge=1 << 28, description="Memory limit (address space) of the decoder process, in bytes.")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_profile(cls, values: dict[str, Any]) -> dict[str, Any]:
        of_profile = PROFILES.get(values.get("profile", "tiny"), {})
        of_profile = {name: value for name, value in of_profile.items() if not _is_replaced(name, values, of_profile)}
        given = set(values) | (set(of_profile) if "profile" in values else set())
        return of_profile | values | {"given": frozenset(given)}

    @field_validator("embedder_model", "text_embedder_model", "reranker_model", "cross_encoder_model", "nli_model", "asr_model")
    @classmethod
    def _paths_are_absolute(cls, model: str | None) -> str | None:
        return str(Path(model).absolute()) if model and Path(model).exists() else model

    @model_validator(mode="after")
    def _overlaps_are_shorter(self) -> Self:
        if self.clip_overlap >= self.clip_seconds:
            raise ValueError(f"clip_overlap ({self.clip_overlap} s) must be less than clip_seconds ({self.clip_seconds} s)")
        if self.window_seconds is not None and self.window_overlap >= self.window_seconds:
            overlap, seconds = self.window_overlap, self.window_seconds
            raise ValueError(f"window_overlap ({overlap} s) must be less than window_seconds ({seconds} s)")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Settings from the arguments that are not None, the environment, rankvideo.toml and the profile.

        Raises InputError naming each invalid option and its allowed values.
        """
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise InputError("; ".join(_message(detail) for detail in error.errors())) from error


# Options of a profile that belong to one of its models, and the options that name that model.
_BELONGS_TO = {
    "embedder_model": ("embedder",),
    "text_embedder_model": ("text_embedder",),
    "reranker_model": ("reranker",),
    "cross_encoder_model": ("cross_encoder",),
    "nli_model": ("nli",),
    "asr_model": ("asr",),
    "frame_sampling": ("embedder", "embedder_model"),
}


def _is_replaced(name: str, values: dict[str, Any], of_profile: dict[str, Any]) -> bool:
    """Whether a profile's option belongs to a model that was replaced."""
    return any(values.get(option, of_profile[option]) != of_profile[option] for option in _BELONGS_TO.get(name, ()))


def _message(error: Any) -> str:
    option = ".".join(str(part) for part in error["loc"]) or "settings"
    if option == "profile":
        return f"unknown profile {error['input']!r}: choose one of {', '.join(get_args(Profile))}"
    if error["type"] == "extra_forbidden":
        return f"unknown option {option!r}: the options are {', '.join(Settings.model_fields)}"
    return f"{option} = {error['input']!r}: {error['msg']}"
