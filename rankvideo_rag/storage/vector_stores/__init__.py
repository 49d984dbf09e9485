"""Where the vectors of an archive are searched: in FAISS on this machine, or in a copy that any LlamaIndex vector store holds.

One file per store, each with `load(uri, dim, collection)`; the store's name is what stands before the first colon of
`--vector-store milvus:URI`. `package.module:function` names a function from the vectors' dimension to a LlamaIndex vector
store.
"""

import hashlib
from collections.abc import Callable

from llama_index.core.vector_stores.types import BasePydanticVectorStore

from rankvideo_rag.backends import backend_names, find_loader
from rankvideo_rag.errors import InputError
from rankvideo_rag.settings import FAISS, Settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import IndexOptions, VectorIndex
from rankvideo_rag.storage.vector_stores.copy import open_external_index

Maker = Callable[[int], BasePydanticVectorStore]  # from the numbers in a vector


def open_vector_index(store: Store, settings: Settings) -> VectorIndex:
    """The vectors of an archive as it is now, searched where the settings say.

    Raises InputError for a place that cannot be, MissingDependency, and ArchiveError where a vector store does not answer.
    """
    if settings.vector_store == FAISS:
        return VectorIndex.open(store, scale=IndexOptions(gpu=settings.gpu))
    return open_external_index(store, settings.vector_store, _maker(settings.vector_store, store))


def check_vector_store(place: str) -> None:
    """Raise InputError for a place that cannot be, MissingDependency for one whose package is not installed."""
    if place != FAISS:
        _loader(place)


def _maker(place: str, store: Store) -> Maker:
    load, uri = _loader(place)
    if uri is None:
        return load
    uri, _, collection = uri.partition("#")
    return lambda dim: load(uri, dim=dim, collection=collection or _own_collection(store))


def _loader(place: str) -> tuple[Callable[..., BasePydanticVectorStore], str | None]:
    """The function that opens a store, and the address that it takes; a function of somebody's own takes none."""
    kind, _, where = place.partition(":")
    kinds = backend_names(__name__)
    if not where:
        usable = ", ".join(f"{name}:URI" for name in kinds)
        raise InputError(
            f"vector_store = {place!r}: give {FAISS}, {usable}, or package.module:function that gives a vector store"
        )
    return (find_loader(__name__, kind), where) if kind in kinds else (find_loader(__name__, place), None)


def _own_collection(store: Store) -> str:
    """A collection that no archive in another place has."""
    return f"rankvideo_{hashlib.sha256(str(store.folder.resolve()).encode()).hexdigest()[:16]}"
