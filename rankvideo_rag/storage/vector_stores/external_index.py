"""An archive's vectors in a LlamaIndex vector store: derived like the FAISS files, and checked before they are searched.

The store proposes clips; they are scored and filtered here with the vectors and metadata of the database, so results equal
those of FAISS whatever a store supports. It receives ids and vectors, no text and no paths.

    marker                a vector in the store that belongs to no clip; its id is a fingerprint of all that the store holds
    vectors.copy.json     in the archive: what the store held after its last update, per video

The marker is deleted before the store is changed and written last: a store that was updated in part is filled again.
"""

import hashlib
import json
import logging
import math
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery
from pydantic import ValidationError

from rankvideo_rag.errors import ArchiveError, InputError, RankVideoError
from rankvideo_rag.files import replace_file
from rankvideo_rag.schema import Record
from rankvideo_rag.storage.flat_index import Numbers, ScoredRows, Vector
from rankvideo_rag.storage.index_files import EXTERNAL_STATE, build_lock
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.stored_vectors import BATCH, Snapshot, snapshot
from rankvideo_rag.storage.vector_index import VectorIndex

logger = logging.getLogger(__name__)

VectorStoreFactory = Callable[[int], BasePydanticVectorStore]  # opens a store for vectors of that many dimensions

MARKER = "rankvideo-marker"
MAX_K = 16_384  # clips per query: Milvus returns no more
_EXACT_BELOW = 1_500  # filtered clips that are all scored, without a query to the store
_SPARE = 8  # candidates beyond the depth: the marker, clips that are gone, near ties that a store rounds differently


class ExternalState(Record):
    """What a vector store holds."""

    place: str  # the store, as in the settings
    generation: int
    dim: int
    vectors: int
    videos: dict[str, str]  # video_id -> hash of its clips' ids and vectors

    @property
    def fingerprint(self) -> str:
        """A hash of the ids and vectors held, independent of the archive they came from."""
        return hashlib.sha256(json.dumps([self.dim, sorted(self.videos.items())]).encode()).hexdigest()

    @property
    def marker_id(self) -> str:
        """The node id of the marker for this state."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.fingerprint))


def open_external_index(store: Store, place: str, create: VectorStoreFactory) -> VectorIndex:
    """Open the index in the vector store at `place`, after updating it if it does not hold the present generation.

    Raises ArchiveError if the vector store does not respond or refuses a request.
    """
    state = _read_state(store.folder)
    if state is None or (state.place, state.generation) != (place, store.generation):
        return _update(store, place, create)
    with _convert_errors(place):
        vector_store = create(state.dim) if state.vectors else None
        is_current = vector_store is None or _has_marker(vector_store, state)
    return _index(store, state, vector_store) if is_current else _update(store, place, create)


def _index(store: Store, state: ExternalState, vector_store: BasePydanticVectorStore | None) -> VectorIndex:
    return VectorIndex(ExternalIndex(store, state, vector_store) if vector_store else None, state.generation)


class ExternalIndex:
    """Searches a vector store and scores what it returns with the stored vectors."""

    def __init__(self, store: Store, state: ExternalState, vector_store: BasePydanticVectorStore) -> None:
        self._store, self._state, self._vector_store = store, state, vector_store

    def __len__(self) -> int:
        return self._state.vectors

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return self._state.dim

    def search(self, vector: Vector, depth: int, among: Numbers | None) -> ScoredRows:
        """Return the `depth` clips with the largest inner products, of those in `among` if it is given."""
        if among is not None and len(among) <= _EXACT_BELOW:
            return self._scored(vector, among, depth)
        candidates = self._candidates(vector, depth + _SPARE, among)
        if candidates is not None:
            return self._scored(vector, candidates, depth)
        if among is None:
            raise InputError(f"{self._state.place} returns at most {MAX_K - _SPARE:,} clips per query, not {depth:,}")
        return self._scored(vector, among, depth)

    def _candidates(self, vector: Vector, wanted: int, among: Numbers | None) -> Numbers | None:
        """Return the first clips of the store that are in `among`; None if that takes more than it returns per query."""
        k = wanted if among is None else math.ceil(wanted * len(self) / len(among))
        while k <= MAX_K:
            with _convert_errors(self._state.place):
                found = self._row_numbers(_query(self._vector_store, vector, k))
            allowed = found if among is None else found[np.isin(found, among)]
            if among is None or len(allowed) >= wanted or k > len(self):
                return allowed[:wanted]
            k *= 4
        return None

    def _row_numbers(self, clip_ids: Collection[str]) -> Numbers:
        """Return the row numbers of clips in this order, without those that the archive does not have."""
        numbers = self._store.clip_numbers(clip_ids)
        return np.array([numbers[clip_id] for clip_id in clip_ids if clip_id in numbers], dtype=np.int64)

    def _scored(self, vector: Vector, clips: Numbers, depth: int) -> ScoredRows:
        numbers, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for start in range(0, len(clips), BATCH):
            stored = self._store.vectors(clips[start : start + BATCH])
            if len(stored.numbers):
                numbers.append(stored.numbers)
                scores.append(stored.vectors.astype(np.float32) @ vector)
        all_numbers, all_scores = np.concatenate(numbers), np.concatenate(scores)
        best = np.lexsort((all_numbers, -all_scores))[:depth]
        return ScoredRows(all_numbers[best], all_scores[best])


# Updating a vector store


def _update(store: Store, place: str, create: VectorStoreFactory) -> VectorIndex:
    with build_lock(store.folder), snapshot(store) as vectors:
        former, state = _read_state(store.folder), _state_of(vectors, place)
        vector_store = None
        if state.vectors:
            with _convert_errors(place):
                vector_store = _fill(create, vectors, state, former)
        _write_state(store.folder, state)
    return _index(store, state, vector_store)


def _fill(
    create: VectorStoreFactory, vectors: Snapshot, state: ExternalState, former: ExternalState | None
) -> BasePydanticVectorStore:
    """Return the vector store after bringing it to `state`; only changed videos are sent if its content is known."""
    vector_store = create(state.dim)
    if _has_marker(vector_store, state):
        return vector_store
    if former and (former.place, former.dim) == (state.place, state.dim) and _has_marker(vector_store, former):
        held = former.videos
        vector_store.delete(MARKER)
    else:
        vector_store, held = _emptied(vector_store, create, state.dim), {}
    stale = [video_id for video_id, content in held.items() if state.videos.get(video_id) != content]
    for video_id in stale:
        vector_store.delete(video_id)
    new = {video_id for video_id, content in state.videos.items() if held.get(video_id) != content}
    logger.info("%s: deleting %d videos, adding %d", state.place, len(stale), len(new))
    for nodes in _nodes(vectors, new):
        vector_store.add(nodes)
    vector_store.add([_node(state.marker_id, MARKER, _marker_vector(state.dim))])
    return vector_store


def _emptied(vector_store: BasePydanticVectorStore, create: VectorStoreFactory, dim: int) -> BasePydanticVectorStore:
    if not _query(vector_store, _marker_vector(dim), 1):
        return vector_store
    vector_store.clear()
    return create(dim)  # Milvus drops the collection when it is cleared


def _state_of(vectors: Snapshot, place: str) -> ExternalState:
    videos: dict[str, str] = {}
    for batch in vectors.read(vectors.numbers):
        clips = vectors.records(batch.numbers)
        for number, vector in zip(batch.numbers.tolist(), batch.vectors, strict=True):
            clip = clips[number]
            prefix = f"{videos.get(clip.video_id, '')} {clip.clip_id} ".encode()
            videos[clip.video_id] = hashlib.sha256(prefix + vector.tobytes()).hexdigest()[:32]
    return ExternalState(
        place=place, generation=vectors.generation, dim=vectors.dim, vectors=len(vectors.numbers), videos=videos
    )


def _nodes(vectors: Snapshot, videos: Collection[str]) -> Iterator[list[TextNode]]:
    for batch in vectors.read(vectors.numbers):
        clips = vectors.records(batch.numbers)
        paired = zip((clips[number] for number in batch.numbers.tolist()), batch.vectors, strict=True)
        nodes = [
            _node(clip.clip_id, clip.video_id, vector.astype(np.float32)) for clip, vector in paired if clip.video_id in videos
        ]
        if nodes:
            yield nodes


def _node(node_id: str, source_id: str, vector: Vector) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source_id)}
    return TextNode(id_=node_id, text=node_id, embedding=vector.tolist(), relationships=source)  # stores refuse empty text


def _marker_vector(dim: int) -> Vector:
    """Return a random unit vector, the same each time."""
    vector = np.random.default_rng(20260202).standard_normal(dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


def _has_marker(vector_store: BasePydanticVectorStore, state: ExternalState) -> bool:
    return state.marker_id in _query(vector_store, _marker_vector(state.dim), _SPARE)


def _query(vector_store: BasePydanticVectorStore, vector: Vector, k: int) -> list[str]:
    """Return the ids of the k nearest nodes."""
    return list(vector_store.query(VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=k)).ids or [])


def _read_state(folder: Path) -> ExternalState | None:
    """Return the recorded state; None if there is none or it is damaged, and the store's content must be checked."""
    try:
        content = json.loads((folder / EXTERNAL_STATE).read_bytes())
        check = content.pop("fingerprint", None)
        state = ExternalState.model_validate(content)
    except (FileNotFoundError, ValueError, AttributeError, ValidationError):
        return None
    return state if check == state.fingerprint else None


def _write_state(folder: Path, state: ExternalState) -> None:
    content = {**state.model_dump(), "fingerprint": state.fingerprint}
    try:
        replace_file(folder / EXTERNAL_STATE, json.dumps(content).encode())
    except OSError as error:
        logger.warning("%s cannot be written (%s): the vector store will be checked again", folder / EXTERNAL_STATE, error)


@contextmanager
def _convert_errors(place: str) -> Iterator[None]:
    """Turn the errors of a vector store, each of its own kind, into ArchiveError."""
    try:
        yield
    except RankVideoError:
        raise
    except Exception as error:
        raise ArchiveError(
            f"the vector store {place} failed ({type(error).__name__}: {error}). Check that it runs, that this machine can "
            f"reach it, and that no other process has its file open. The archive is intact: leave --vector-store out to search "
            f"with FAISS on this machine."
        ) from error
