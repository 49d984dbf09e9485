"""Where the vectors of clips are searched: in FAISS on this machine, or in any LlamaIndex vector store. Those of passages stay
in FAISS.

A vector store is one file here with `load(uri, dim, collection)`, named by `--vector-store milvus:URI`.
`package.module:function` names a function elsewhere that takes the vectors' dimensions and returns a LlamaIndex vector store.
"""

import hashlib
from collections.abc import Callable

from llama_index.core.vector_stores.types import BasePydanticVectorStore

from rankvideo_rag.backends import backend_names, find_loader
from rankvideo_rag.errors import InputError
from rankvideo_rag.settings import FAISS, Settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import IndexOptions, VectorIndex
from rankvideo_rag.storage.vector_stores.external_index import VectorStoreFactory, open_external_index


def open_vector_index(store: Store, settings: Settings) -> VectorIndex:
    """Open the vectors of clips of an archive's present generation, in the store that the settings name.

    Raises InputError for an unknown store, MissingDependency, and ArchiveError if a vector store does not respond.
    """
    if settings.vector_store == FAISS:
        return VectorIndex.open(store, IndexOptions(gpu=settings.gpu))
    return open_external_index(store, settings.vector_store, _factory(settings.vector_store, store))


def check_vector_store(name: str) -> None:
    """Raise InputError for an unknown vector store, MissingDependency if its package is not installed."""
    if name != FAISS:
        _loader(name)


def _factory(name: str, store: Store) -> VectorStoreFactory:
    load, uri = _loader(name)
    if uri is None:
        return load
    uri, _, collection = uri.partition("#")
    return lambda dim: load(uri, dim=dim, collection=collection or _default_collection(store))


def _loader(name: str) -> tuple[Callable[..., BasePydanticVectorStore], str | None]:
    """Return the function that opens a vector store and its URI; a function outside this package takes none."""
    kind, _, uri = name.partition(":")
    kinds = backend_names(__name__)
    if not uri:
        usable = ", ".join(f"{kind}:URI" for kind in kinds)
        raise InputError(
            f"vector_store = {name!r}: give {FAISS}, {usable}, or package.module:function that returns a vector store"
        )
    return (find_loader(__name__, kind), uri) if kind in kinds else (find_loader(__name__, name), None)


def _default_collection(store: Store) -> str:
    """Return a collection name that depends on the archive's path, so that archives do not share one."""
    return f"rankvideo_{hashlib.sha256(str(store.folder.resolve()).encode()).hexdigest()[:16]}"
