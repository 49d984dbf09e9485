"""Milvus: `milvus:FILE.db` is Milvus Lite in this process, `milvus:http://host:19530` a server. `#NAME` names a collection.

Every vector is compared with the question (index type FLAT), so what is found is what exact search finds. Where that is too
slow, give a function of your own that returns a MilvusVectorStore with another `index_config`. The variable MILVUS_TOKEN logs
in. Milvus Lite serves one process at a time.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymilvus  # noqa: F401  (so that the package which is missing is told by its own name)
from llama_index.vector_stores.milvus import MilvusVectorStore

from rankvideo_rag.errors import InputError


def load(uri: str, *, dim: int, collection: str) -> MilvusVectorStore:
    """The collection of that name for vectors of `dim` numbers, made where it is missing."""
    served = "://" in uri
    with _without_needless_errors():
        return MilvusVectorStore(
            uri=uri if served else _file(uri),
            token=os.environ.get("MILVUS_TOKEN", ""),
            dim=dim,
            collection_name=collection,
            similarity_metric="IP",
            # What one process has written, another one sees. Milvus Lite has one process, and does not know how to.
            consistency_level="Strong" if served else "Session",
            use_async_client=False,  # it would need a running event loop
        )


@contextmanager
def _without_needless_errors() -> Iterator[None]:
    """Milvus Lite knows no timestamps: its client asks for one, does without, and grpc logs that as an error."""

    def matters(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], NotImplementedError))

    log = logging.getLogger("grpc._server")
    log.addFilter(matters)
    try:
        yield
    finally:
        log.removeFilter(matters)


def _file(uri: str) -> str:
    file = Path(uri).absolute()
    if file.suffix != ".db" or not file.parent.is_dir():
        raise InputError(
            f"milvus:{uri} is no server (milvus:http://host:19530) and no file for Milvus Lite: that one ends in .db, and its "
            f"folder is there"
        )
    return str(file)
