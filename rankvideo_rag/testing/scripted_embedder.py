"""Test double for an embedder: a clip's vector holds the colours of its frames, a query's vector the colours it names.

Deterministic, without weights and without torch. A query about a shape without a colour is equally near to all colours. Shapes
and motions are left to the reranker.
"""

from collections.abc import Sequence

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import ClipMedia
from rankvideo_rag.models.embedders import Embedder, EmbedderInfo, Vector
from rankvideo_rag.schema import FrameBudget
from rankvideo_rag.testing.pattern_detector import COLOURS, colour_shares
from rankvideo_rag.testing.scripted_vlm import parse_descriptions


class ScriptedEmbedder:
    """Vectors with one number for each colour of `pattern_detector.COLOURS`, in that order."""

    info = EmbedderInfo(
        backend="scripted",
        model=None,
        revision=None,
        dim=len(COLOURS),
        pooling="mean",
        normalized=True,
        query_prompt="",
        document_prompt="",
        modalities=("video",),
        frames=FrameBudget(max_frames=8, min_pixels=32 * 32 * 32, max_pixels=32 * 32 * 32),
    )

    def embed_queries(self, texts: Sequence[str]) -> list[Vector | None]:
        """Return the colours of the shapes that each query describes, in equal parts; None if it describes none."""
        return [_vector(dict.fromkeys(_colours_named(text), 1.0)) for text in texts]

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        """Return how much of the frames each colour covers; None without frames, and if none is visible."""
        return [_vector(colour_shares(clip.frames.pixels)) if clip.frames else None for clip in clips]


def load(model: str | None = None, *, device: str | None = None) -> Embedder:
    """Return the embedder. It runs on the CPU whatever the device. Raises InputError for any model."""
    if model is not None:
        raise InputError(f"the scripted embedder was given the model {model!r}: it loads none, so leave the model out")
    return ScriptedEmbedder()


def _colours_named(question: str) -> Sequence[str]:
    shapes = parse_descriptions(question)
    return [shape.colour for shape in shapes if shape.colour] or (COLOURS if shapes else [])


def _vector(weights: dict[str, float]) -> Vector | None:
    """Return weights of colours as a vector of length 1; None if there are none."""
    if not weights:
        return None
    vector = np.array([weights.get(colour, 0.0) for colour in COLOURS], dtype=np.float32)
    return vector / np.float32(np.linalg.norm(vector))
