"""Options and where they come from: arguments, then RANKVIDEO_… variables, then rankvideo.toml, then the profile.

A profile is a set of models that go together. `tiny` needs no download: its models ship with the package, and know only the
demo's little world.
"""

from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rankvideo_rag.errors import InputError

Profile = Literal["tiny", "cpu", "gpu"]
Fusion = Literal["ranks", "scores"]
FAISS = "faiss"  # vectors are searched on this machine
ClipBoundaries = Literal["windows", "shots", "pyscenedetect", "speech"]
FrameSampling = Literal["auto", "exact", "keyframes"]

PROFILES: dict[str, dict[str, Any]] = {
    "tiny": {
        "embedder": "sentence_transformers",
        "embedder_model": "bundled:tiny-embedder",
        "reranker": "transformers",
        "reranker_model": "bundled:tiny-reranker",
        # Its reranker says no to what is not for the eye: the words' order stands where it sees nothing.
        "keep_order_below": 0.0,
        # Measured by `rankvideo demo exam`: its embedder is far from sure of questions that only words answer.
        "fusion": "scores",
        # It was taught by frames in even steps.
        "frame_sampling": "exact",
    },
    "cpu": {
        "embedder": "sentence_transformers",
        "embedder_model": "sentence-transformers/clip-ViT-B-32",
        "reranker": "transformers",
        "reranker_model": "Qwen/Qwen3-VL-2B-Instruct",
        "asr": "whisper",
        "asr_model": "base",
    },
    "gpu": {
        "embedder": "sentence_transformers",
        "embedder_model": "Haon-Chen/e5-omni-7B",
        "reranker": "transformers",
        "reranker_model": "hltcoe/RankVideo",
        "asr": "whisper",
        "asr_model": "large-v3",
    },
}

# About how much each model's weights weigh, in bytes: parameters x 2 for bf16 weights, file sizes for the others.
DOWNLOAD_BYTES = {
    "bundled:tiny-embedder": 6_000_000,
    "bundled:tiny-reranker": 6_000_000,
    "sentence-transformers/clip-ViT-B-32": 605_000_000,
    "Qwen/Qwen3-VL-2B-Instruct": 4_260_000_000,
    "Haon-Chen/e5-omni-7B": 17_900_000_000,
    "hltcoe/RankVideo": 17_600_000_000,
    "base": 145_000_000,
    "large-v3": 3_090_000_000,
}


class Settings(BaseSettings):
    """Every option of a run. `given` names those that somebody asked for, by hand or through the profile they named."""

    model_config = SettingsConfigDict(
        env_prefix="RANKVIDEO_", toml_file="rankvideo.toml", extra="forbid", frozen=True, protected_namespaces=()
    )

    profile: Profile = "tiny"
    given: frozenset[str] = Field(frozenset(), repr=False, exclude=True)
    device: str | None = None  # "cpu", "cuda", "cuda:1"; None picks the best there is
    gpu: bool = False  # vectors are indexed and searched by faiss-gpu
    vectors: str = Field(FAISS, description="where they are searched: faiss, milvus:URI, or package.module:function")

    # How an archive is made: kept in it as its index config.
    embedder: str = Field("sentence_transformers", description="a file of embedders/, or package.module:function")
    embedder_model: str | None = None  # hub name or local path
    clip_seconds: float = Field(30.0, gt=0)
    clip_overlap: float = Field(0.0, ge=0)  # seconds shared by neighbouring clips
    clip_boundaries: ClipBoundaries = "windows"  # where clips are divided; "pyscenedetect" finds shots with that package
    # Key frames stand for the frames that are wanted where each has one within a second: "auto" reads as many, "keyframes" as
    # many as there are, but no fewer than the embedder's least.
    frame_sampling: FrameSampling = "auto"
    sound_only: bool = True  # files without a picture are indexed, by the words that are heard
    subtitles: bool = True
    asr: str = Field("none", description="speech recognition: a file of models/asr/, or none")
    asr_model: str | None = None  # a name the backend knows, or the path of a checkpoint
    ocr: str = Field("auto", description="on-screen text: a file of models/ocr/, none, or auto (rapidocr where installed)")

    # How it is asked.
    reranker: str = Field("transformers", description="a file of vlm/, or none")
    reranker_model: str | None = None
    prompt: str | None = Field(None, description="a PromptSpec; None takes the one the checkpoint names, else rankvideo")
    keep_order_below: float | None = None  # nats; where no clip's margin reaches it, the first stage's order stays
    window_seconds: float | None = Field(None, gt=0)  # clips longer than this are watched in windows; None watches them whole
    reasoning: Literal["auto", "always", "never"] = "never"  # let the reranker write a rationale first; auto: where in doubt
    fusion: Fusion = "ranks"  # how channels become one list
    retrieve_depth: int = Field(100, ge=1)  # clips taken from the fused channels
    rerank_depth: int = Field(20, ge=1)  # of these, how many RankVideo watches
    top_n: int = Field(5, ge=1)  # of these, how many the answer may cite
    min_margin: float = Field(0.0, allow_inf_nan=False)  # nats, from which on a clip is taken to show what is asked
    score_cache: str | None = None  # file in which verdicts are kept, "none"; None: rankvideo/scores.db in the user's cache

    # Where files are read.
    engine: Literal["local", "ray"] = "local"  # ray: by workers on a Ray cluster, while this process writes
    ray_address: str | None = None  # of the cluster; None: $RAY_ADDRESS, else one is started on this machine

    # What one file may cost.
    media_seconds: float = Field(60.0, gt=0)  # least time budget of one call into the decoder
    media_bytes: int = Field(2 << 30, ge=1 << 28)  # address space of the decoder process

    @model_validator(mode="before")
    @classmethod
    def _fill_from_profile(cls, values: dict[str, Any]) -> dict[str, Any]:
        of_profile = PROFILES.get(values.get("profile", "tiny"), {})
        of_profile = {name: value for name, value in of_profile.items() if not _is_for_another(name, values, of_profile)}
        given = set(values) | (set(of_profile) if "profile" in values else set())
        return of_profile | values | {"given": frozenset(given)}

    @field_validator("embedder_model", "reranker_model", "asr_model")
    @classmethod
    def _paths_are_absolute(cls, model: str | None) -> str | None:
        return str(Path(model).absolute()) if model and Path(model).exists() else model

    @model_validator(mode="after")
    def _overlap_shorter_than_clip(self) -> Self:
        if self.clip_overlap >= self.clip_seconds:
            raise ValueError(f"clip_overlap ({self.clip_overlap} s) must be less than clip_seconds ({self.clip_seconds} s)")
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

        Raises InputError that names each option at fault and what it may be.
        """
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise InputError("; ".join(_in_words(fault) for fault in error.errors())) from error


# What a profile says for the sake of one of its models, and the options that name that model.
_FOR_THE_SAKE_OF = {
    "embedder_model": ("embedder",),
    "reranker_model": ("reranker",),
    "asr_model": ("asr",),
    "keep_order_below": ("reranker", "reranker_model"),
    "fusion": ("embedder", "embedder_model"),
    "frame_sampling": ("embedder", "embedder_model"),
}


def _is_for_another(name: str, values: dict[str, Any], of_profile: dict[str, Any]) -> bool:
    """Whether a profile's option belongs to a model that somebody has replaced."""
    return any(values.get(option, of_profile[option]) != of_profile[option] for option in _FOR_THE_SAKE_OF.get(name, ()))


def _in_words(fault: Any) -> str:
    option = ".".join(str(part) for part in fault["loc"]) or "settings"
    if option == "profile":
        return f"unknown profile {fault['input']!r}: choose one of {', '.join(get_args(Profile))}"
    if fault["type"] == "extra_forbidden":
        return f"unknown option {option!r}: the options are {', '.join(Settings.model_fields)}"
    return f"{option} = {fault['input']!r}: {fault['msg']}"
