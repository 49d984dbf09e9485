"""Milvus: `milvus:FILE.db` is Milvus Lite in this process, `milvus:http://host:19530` a server. `#NAME` names a collection.

The collection has a FLAT index, so search is exact. For a faster index, give a function of your own that returns a
MilvusVectorStore with another `index_config`. MILVUS_TOKEN in the environment authenticates. One process at a time can open a
Milvus Lite file.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymilvus  # noqa: F401 - so that a missing package is reported by its own name
from llama_index.vector_stores.milvus import MilvusVectorStore

from rankvideo_rag.errors import InputError


def load(uri: str, *, dim: int, collection: str) -> MilvusVectorStore:
    """Open a collection for vectors of `dim` dimensions; create it if it does not exist."""
    is_server = "://" in uri
    with _without_timestamp_errors():
        return MilvusVectorStore(
            uri=uri if is_server else _file(uri),
            token=os.environ.get("MILVUS_TOKEN", ""),
            dim=dim,
            collection_name=collection,
            similarity_metric="IP",
            # Strong: one process sees what another has written. Milvus Lite has one process and supports sessions only.
            consistency_level="Strong" if is_server else "Session",
            use_async_client=False,  # it needs a running event loop
        )


@contextmanager
def _without_timestamp_errors() -> Iterator[None]:
    """Suppress an error that grpc logs: Milvus Lite has no timestamps, which its client asks for and does without."""

    def is_relevant(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], NotImplementedError))

    log = logging.getLogger("grpc._server")
    log.addFilter(is_relevant)
    try:
        yield
    finally:
        log.removeFilter(is_relevant)


def _file(uri: str) -> str:
    file = Path(uri).absolute()
    if file.suffix != ".db" or not file.parent.is_dir():
        raise InputError(
            f"milvus:{uri} is neither a server (milvus:http://host:19530) nor a file for Milvus Lite, which ends in .db and "
            f"lies in an existing folder"
        )
    return str(file)
