"""Embedding models loaded by sentence-transformers: models of video (and audio), and of pictures, such as CLIP.

A picture model embeds each frame; the clip's vector is the normalized mean of their unit vectors.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import Qwen3VLVideoProcessor

from rankvideo_rag.errors import ModelError
from rankvideo_rag.media import SAMPLE_RATE, ClipMedia
from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.embedders import EmbedderInfo, Vector
from rankvideo_rag.models.video_inputs import check_frame_size, frame_multiple, video_array, video_metadata
from rankvideo_rag.schema import FrameBudget
from rankvideo_rag.text import clean

_SETTING = "embedder_model"

InputType = Literal["query", "document"]


def load(model: str | None, *, device: str | None = None, batch_size: int = 8) -> "SentenceTransformersEmbedder":
    """Load a model by hub name or local folder. The default device is a GPU if there is one, else the CPU."""
    checkpoint = fetch_checkpoint(model, backend="sentence_transformers", setting=_SETTING)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    # On a GPU the checkpoint's dtype, mostly bfloat16, which most CPUs emulate slowly.
    dtype = "auto" if device.startswith("cuda") else "float32"
    with wrap_loading_errors(str(model), setting=_SETTING, device=device):
        network = SentenceTransformer(
            str(checkpoint.folder),
            device=device,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": dtype},
        )
    _refuse_guessed_pooling(network, str(model))
    return SentenceTransformersEmbedder(network, model=str(model), revision=checkpoint.revision, batch_size=batch_size)


class SentenceTransformersEmbedder:
    """A SentenceTransformer as an Embedder. Thread-safe: one thread at a time runs it."""

    def __init__(self, network: SentenceTransformer, *, model: str, revision: str, batch_size: int) -> None:
        self._network = network
        self._model = model
        self._batch_size = batch_size
        self._lock = Lock()
        self._modalities = _modalities(network, model)
        self._query_prompt = _prompt(network, "query")
        self._document_prompt = _prompt(network, "document", "passage", "corpus")
        self._multiple = frame_multiple(_video_processor(network)) if "video" in self._modalities else None
        self._info = self._describe(revision)

    @property
    def info(self) -> EmbedderInfo:
        """Describe the vectors."""
        return self._info

    def embed_queries(self, texts: Sequence[str]) -> list[Vector | None]:
        """Return a vector for each question; None for an empty one."""
        # As {"text": …}: sentence-transformers would open a plain string that looks like a picture's URL or path.
        questions = [{"text": clean(text)} for text in texts]
        return self._embed([question if question["text"] else None for question in questions], "query", what="question")

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        """Return a vector for each clip; None where it has no input that the model takes."""
        if "image" in self._modalities:
            return self._embed_pictures(clips)
        return self._embed([self._clip_input(clip) or None for clip in clips], "document", what="clip")

    def _embed_pictures(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        pictures = [list(clip.frames.pixels) if clip.frames is not None else [] for clip in clips]
        items = [{"image": Image.fromarray(picture)} for of_clip in pictures for picture in of_clip]
        rows = iter([row for row in self._embed(items, "document", what="frame") if row is not None])
        of_clips = [list(islice(rows, len(of_clip))) for of_clip in pictures]
        return [
            self._unit(np.mean(rows_of_clip, axis=0), f"the frames of clip {index}") if rows_of_clip else None
            for index, rows_of_clip in enumerate(of_clips)
        ]

    def _clip_input(self, clip: ClipMedia) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if clip.frames is not None and len(clip.frames):
            check_frame_size(clip.frames, self._multiple or 1, model=self._model)
            found["video"] = {
                "array": torch.from_numpy(video_array(clip.frames)),
                "video_metadata": video_metadata(clip.frames),
            }
        if clip.audio is not None and len(clip.audio) and "audio" in self._modalities:
            found["audio"] = {"array": clip.audio, "sampling_rate": SAMPLE_RATE}
        return found

    def _embed(self, items: Sequence[Mapping[str, Any] | None], task: InputType, *, what: str) -> list[Vector | None]:
        """Return unit vectors of the items that are not None. Only items of the same kind and frame rate share a batch."""
        by_kind: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            if item is not None:
                by_kind[(*item, _frame_rate(item))].append(index)
        vectors: list[Vector | None] = [None] * len(items)
        for (*_, frame_rate), indices in by_kind.items():
            rows = self._encode([items[index] for index in indices], task, frame_rate)
            for index, row in zip(indices, rows, strict=True):
                vectors[index] = self._unit(row, f"{what} {index}")
        return vectors

    def _encode(self, items: Sequence[Any], task: InputType, frame_rate: float | None) -> NDArray[np.float32]:
        """Return (items, dim) float32 vectors as the model computes them."""
        prompt = self._query_prompt if task == "query" else self._document_prompt
        options = {"processing_kwargs": {"video": self._video_options(frame_rate)}} if "video" in items[0] else {}
        with self._lock:
            rows: NDArray[np.float32] = self._network.encode(
                list(items), prompt=prompt, task=task, batch_size=self._batch_size, show_progress_bar=False, **options
            )
        return rows

    def _video_options(self, frame_rate: float | None) -> dict[str, Any]:
        options: dict[str, Any] = {"do_sample_frames": False}
        if self._multiple:
            options["do_resize"] = False
        if frame_rate is not None:
            options["fps"] = frame_rate  # Qwen2.5-Omni spaces frames by this, not by the metadata
        if isinstance(_video_processor(self._network), Qwen3VLVideoProcessor):
            options["cap_pixels_per_frame"] = False  # affects resizing only; without it the processor warns
        return options

    def _unit(self, row: NDArray[np.floating[Any]], what: str) -> Vector:
        length = float(np.linalg.norm(row.astype(np.float64)))
        if not np.isfinite(length) or length == 0:
            raise ModelError(f"{self._model!r} computed for {what} a vector of length {length}, which cannot be compared")
        return (row / length).astype(np.float32)

    def _describe(self, revision: str) -> EmbedderInfo:
        pooling = next((str(module.pooling_mode) for module in self._network if isinstance(module, Pooling)), "projection")
        return EmbedderInfo(
            backend="sentence_transformers",
            model=self._model,
            revision=revision,
            dim=self._encode([{"text": "video"}], "query", None).shape[1],
            pooling=f"{pooling}, mean over frames" if "image" in self._modalities else pooling,
            normalized=True,
            query_prompt=self._query_prompt,
            document_prompt=self._document_prompt,
            modalities=self._modalities,
            frames=_frame_budget(_video_processor(self._network), self._multiple),
        )


def _modalities(network: SentenceTransformer, model: str) -> tuple[str, ...]:
    """Return which inputs of a clip the model takes: ("video",), ("video", "audio"), or ("image",) for single frames."""
    if network.supports("text") and network.supports("video"):
        return ("video", "audio") if _takes_audio(network) else ("video",)
    if network.supports("text") and network.supports("image"):
        return ("image",)
    raise ModelError(
        f"{model!r} takes {', '.join(map(str, network.modalities))}: an archive needs a model of text and video, or of text "
        f"and image: choose one with {_SETTING}"
    )


def _takes_audio(network: SentenceTransformer) -> bool:
    """Return whether audio can be embedded with a video: at 16 kHz, as `media` decodes it."""
    extractor = getattr(network.processor, "feature_extractor", None)
    return network.supports(("audio", "video")) and getattr(extractor, "sampling_rate", None) == SAMPLE_RATE


def _refuse_guessed_pooling(network: SentenceTransformer, model: str) -> None:
    """Raise ModelError without a modules.json: sentence-transformers would silently take the mean of all tokens."""
    if not network.module_kwargs and any(isinstance(module, Pooling) for module in network):
        raise ModelError(
            f"{model!r} has no modules.json, so how its tokens become one vector is not known, and a guess would give vectors "
            f"without meaning: choose a sentence-transformers model with {_SETTING}"
        )


def _prompt(network: SentenceTransformer, *names: str) -> str:
    """Return the first of these prompts that the model has, else its default prompt, else an empty one."""
    return next((text for name in (*names, network.default_prompt_name) if (text := network.prompts.get(name))), "")


def _video_processor(network: SentenceTransformer) -> Any:
    return getattr(network.processor, "video_processor", None)


def _frame_rate(item: Mapping[str, Any]) -> float | None:
    """Return a video's frames per second, to two decimals; None with fewer than two frames."""
    metadata: Mapping[str, Any] = item["video"]["video_metadata"] if "video" in item else {}
    indices = metadata.get("frames_indices", ())
    if len(indices) < 2:
        return None
    return round(float((len(indices) - 1) * metadata["fps"] / (indices[-1] - indices[0])), 2)


def _frame_budget(video_processor: Any, multiple: int | None) -> FrameBudget:
    """Return 24 frames, as OmniEmbed was trained, of as many pixels as RankVideo reads, within the processor's limits."""
    max_frames = min(24, getattr(video_processor, "max_frames", None) or 24)
    max_pixels = 128 * 32 * 32
    if isinstance(video_processor, Qwen3VLVideoProcessor):  # its `size` counts the pixels of all frames together
        max_pixels = min(max_pixels, video_processor.size["longest_edge"] // max_frames)
    side = multiple or 32  # a processor that resizes accepts any size
    return FrameBudget(
        fps=getattr(video_processor, "fps", None) or 1.0,
        max_frames=max_frames,
        min_frames=min(4, max_frames),
        min_pixels=min(4 * side * side, max_pixels),
        max_pixels=max_pixels,
        multiple=side,
    )
