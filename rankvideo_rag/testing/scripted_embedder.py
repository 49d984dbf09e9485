"""An embedder without a network: a clip's vector is which object colours it shows, a question's which colours it names.
A question about a shape of no named colour is as near to one colour as to another.

Deterministic and predictable by eye: a stand-in for a real model in tests, and where no torch is installed. It knows nothing of
shapes and motions, on purpose: what it cannot tell apart is left to the judge that watches the clip.
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
    """Vectors with one number for each of `media.pixels.COLOURS`, in that order."""

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
        """The colours of the shapes that each question describes, in equal parts; None where it describes none."""
        return [_vector(dict.fromkeys(_colours_asked(text), 1.0)) for text in texts]

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        """How much of the picture each colour covers; None without frames, and where no object colour is seen."""
        return [_vector(colour_shares(clip.frames.pixels)) if clip.frames else None for clip in clips]


def load(model: str | None = None, *, device: str | None = None) -> Embedder:
    """The colour embedder. It has no weights, and runs on the CPU whatever the device."""
    if model is not None:
        raise InputError(f"the scripted embedder was given the model {model!r}: it has none to load, leave the model out")
    return ScriptedEmbedder()


def _colours_asked(question: str) -> Sequence[str]:
    shapes = parse_descriptions(question)
    return [shape.colour for shape in shapes if shape.colour] or (COLOURS if shapes else [])


def _vector(weights: dict[str, float]) -> Vector | None:
    """Weights of colours as a vector of length 1; None when there are none."""
    if not weights:
        return None
    vector = np.array([weights.get(colour, 0.0) for colour in COLOURS], dtype=np.float32)
    return vector / np.float32(np.linalg.norm(vector))
