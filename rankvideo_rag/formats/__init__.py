"""Readers and writers of TREC, JSONL and published data set files. Every error names file and line."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankvideo_rag.formats.multivent import load_qrels as load_qrels
    from rankvideo_rag.formats.multivent import read_multivent_queries as read_multivent_queries
    from rankvideo_rag.formats.trec import Qrels as Qrels
    from rankvideo_rag.formats.trec import read_qrels as read_qrels
    from rankvideo_rag.formats.wikivideo import read_wikivideo as read_wikivideo

_MODULES = {
    "Qrels": "trec",
    "load_qrels": "multivent",
    "read_multivent_queries": "multivent",
    "read_qrels": "trec",
    "read_wikivideo": "wikivideo",
}

__all__ = [
    "Qrels",
    "load_qrels",
    "read_multivent_queries",
    "read_qrels",
    "read_wikivideo",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
