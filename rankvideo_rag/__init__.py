"""rankvideo-rag: ask questions of a video archive.

The public names are imported on first use, so that `import rankvideo_rag` loads no torch, faiss, numpy or LlamaIndex.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankvideo_rag.archive import VideoArchive as VideoArchive
    from rankvideo_rag.errors import RankVideoError as RankVideoError
    from rankvideo_rag.reranker import RankVideoRerank as RankVideoRerank
    from rankvideo_rag.retriever import VideoRetriever as VideoRetriever
    from rankvideo_rag.settings import Settings as Settings
    from rankvideo_rag.synthesizer import VideoAnswerSynthesizer as VideoAnswerSynthesizer

_HOME = {
    "RankVideoError": "errors",
    "RankVideoRerank": "reranker",
    "Settings": "settings",
    "VideoAnswerSynthesizer": "synthesizer",
    "VideoArchive": "archive",
    "VideoRetriever": "retriever",
}

__all__ = [
    "RankVideoError",
    "RankVideoRerank",
    "Settings",
    "VideoAnswerSynthesizer",
    "VideoArchive",
    "VideoRetriever",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
