"""rankvideo-rag: ask questions of a video archive.

Public names are imported on first use, so that `import rankvideo_rag` loads no torch, faiss, numpy or LlamaIndex.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankvideo_rag.agents.tools import VideoArchiveToolSpec as VideoArchiveToolSpec
    from rankvideo_rag.answering.abstention import calibrate_margin as calibrate_margin
    from rankvideo_rag.archive import VideoArchive as VideoArchive
    from rankvideo_rag.errors import RankVideoError as RankVideoError
    from rankvideo_rag.indexing.run import index as index
    from rankvideo_rag.reranker import RankVideoRerank as RankVideoRerank
    from rankvideo_rag.retriever import VideoRetriever as VideoRetriever
    from rankvideo_rag.settings import Settings as Settings
    from rankvideo_rag.synthesizer import VideoAnswerSynthesizer as VideoAnswerSynthesizer
    from rankvideo_rag.transforms import VideoClips as VideoClips

_MODULES = {
    "RankVideoError": "errors",
    "RankVideoRerank": "reranker",
    "Settings": "settings",
    "VideoAnswerSynthesizer": "synthesizer",
    "VideoArchive": "archive",
    "VideoArchiveToolSpec": "agents.tools",
    "VideoClips": "transforms",
    "VideoRetriever": "retriever",
    "calibrate_margin": "answering.abstention",
    "index": "indexing.run",
}

__all__ = list(_MODULES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
