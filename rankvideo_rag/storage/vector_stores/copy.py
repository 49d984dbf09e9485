"""A copy of an archive's vectors in a LlamaIndex vector store: derived like FAISS's files, and checked before it answers.

The store says which clips are near. How near they are is computed here from the vectors in the database, and filters are
applied here: so scores and filters mean what they mean with FAISS, whatever dialect a store speaks. It is told ids and vectors,
no words and no paths.

    marker                a vector that belongs to no clip, in the store: its id is a fingerprint of all that the store holds
    vectors.copy.json     in the archive: what the store held when it was last brought up to date, video by video

While the store is changed there is no marker, so that one that was half changed is filled anew.
"""

import hashlib
import json
import logging
import math
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery
from numpy.typing import NDArray
from pydantic import ValidationError

from rankvideo_rag.errors import ArchiveError, InputError, RankVideoError
from rankvideo_rag.files import replace_file
from rankvideo_rag.schema import Record
from rankvideo_rag.storage.flat_index import Scored, Vector
from rankvideo_rag.storage.index_files import EXTERNAL_STATE, build_lock
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.stored_vectors import Snapshot, read_vectors, snapshot
from rankvideo_rag.storage.vector_index import VectorIndex

logger = logging.getLogger(__name__)

CHANNEL = "visual"
MARKER = "rankvideo-marker"
MOST = 16_384  # clips that a store is asked for at once: Milvus gives no more
_FEW = 1_500  # clips that are scored without asking the store
_SPARE = 8  # candidates beyond what is asked for: the marker, clips that are gone, near ties that a store rounds otherwise
_AT_ONCE = 4096  # vectors


class ExternalState(Record):
    """What a vector store holds."""

    place: str  # as the settings name it
    generation: int
    dim: int
    vectors: int
    videos: dict[str, str]  # video_id -> hash of its clips' ids and vectors

    @property
    def fingerprint(self) -> str:
        """A hash of the ids and vectors that are held: whichever archive they came from, and however."""
        return hashlib.sha256(json.dumps([self.dim, sorted(self.videos.items())]).encode()).hexdigest()


def open_external_index(store: Store, place: str, make: Callable[[int], BasePydanticVectorStore]) -> VectorIndex:
    """The copy that the vector store at `place` holds, brought up to date first where it is not. `make` opens that store for
    vectors of that many numbers.

    Raises ArchiveError where the vector store does not answer or refuses what it is given.
    """
    state = _read_state(store.folder)
    if state is None or (state.place, state.generation) != (place, store.generation):
        return _updated(store, place, make)
    with _told(place):
        held = make(state.dim) if state.vectors else None
        current = held is None or _is_marked(held, state)
    return _index(store, state, held) if current else _updated(store, place, make)


def _index(store: Store, state: ExternalState, held: BasePydanticVectorStore | None) -> VectorIndex:
    return VectorIndex(ExternalIndex(store, state, held) if held else None, state.generation)


class ExternalIndex:
    """Vectors that are searched in a vector store and scored from the database."""

    def __init__(self, store: Store, state: ExternalState, held: BasePydanticVectorStore) -> None:
        self._store, self._state, self._held = store, state, held

    def __len__(self) -> int:
        return self._state.vectors

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self._state.dim

    def search(self, vector: Vector, depth: int, among: NDArray[np.int64] | None) -> Scored:
        """The `depth` clips with the largest inner products; `among` restricts them to those clips."""
        if among is not None and len(among) <= _FEW:
            return self._scored(vector, among, depth)
        near = self._near(vector, depth + _SPARE, among)
        if near is not None:
            return self._scored(vector, near, depth)
        if among is None:
            raise InputError(f"{self._state.place} is asked for at most {MOST - _SPARE:,} clips at once, not for {depth:,}")
        return self._scored(vector, among, depth)

    def _near(self, vector: Vector, sought: int, among: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        """That many clips that the store puts first, of those that are allowed; None where that takes too many of it."""
        k = sought if among is None else math.ceil(sought * len(self) / len(among))
        while k <= MOST:
            with _told(self._state.place):
                found = self._clips(_ask(self._held, vector, k))
            near = found if among is None else found[np.isin(found, among)]
            if among is None or len(near) >= sought or k > len(self):
                return near[:sought]
            k *= 4
        return None

    def _clips(self, clip_ids: Collection[str]) -> NDArray[np.int64]:
        """The row numbers of clips, in this order, without those that the archive does not have."""
        numbers = self._store.clip_numbers(clip_ids)
        return np.array([numbers[clip_id] for clip_id in clip_ids if clip_id in numbers], dtype=np.int64)

    def _scored(self, vector: Vector, clips: NDArray[np.int64], depth: int) -> Scored:
        numbers, products = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for at in range(0, len(clips), _AT_ONCE):
            stored = read_vectors(self._store, CHANNEL, clips[at : at + _AT_ONCE])
            if len(stored.clips):
                numbers.append(stored.clips)
                products.append(stored.vectors.astype(np.float32) @ vector)
        every, product = np.concatenate(numbers), np.concatenate(products)
        best = np.lexsort((every, -product))[:depth]
        return Scored(every[best], product[best])


# Bringing up to date


def _updated(store: Store, place: str, make: Callable[[int], BasePydanticVectorStore]) -> VectorIndex:
    with build_lock(store.folder), snapshot(store, CHANNEL) as still:
        former, state = _read_state(store.folder), _state_of(still, place)
        held = None
        if state.vectors:
            with _told(place):
                held = _filled(make, still, state, former)
        _keep(store.folder, state)
    return _index(store, state, held)


def _filled(
    make: Callable[[int], BasePydanticVectorStore], still: Snapshot, state: ExternalState, former: ExternalState | None
) -> BasePydanticVectorStore:
    """The vector store, holding what it is to hold: only videos that changed are sent, if it is known what it holds now."""
    held = make(state.dim)
    if _is_marked(held, state):
        return held
    if former and former.place == state.place and former.dim == state.dim and _is_marked(held, former):
        there = former.videos
        held.delete(MARKER)
    else:
        held, there = _emptied(held, make, state.dim), {}
    stale = [video_id for video_id, content in there.items() if state.videos.get(video_id) != content]
    for video_id in stale:
        held.delete(video_id)
    new = {video_id for video_id, content in state.videos.items() if there.get(video_id) != content}
    logger.info("%s: %d videos go, %d come", state.place, len(stale), len(new))
    for nodes in _nodes(still, new):
        held.add(nodes)
    held.add([_node(_marker_id(state), MARKER, _marker(state.dim))])
    return held


def _emptied(
    held: BasePydanticVectorStore, make: Callable[[int], BasePydanticVectorStore], dim: int
) -> BasePydanticVectorStore:
    if not _ask(held, _marker(dim), 1):
        return held
    held.clear()
    return make(dim)  # clearing one of Milvus drops the collection


def _state_of(still: Snapshot, place: str) -> ExternalState:
    videos: dict[str, str] = {}
    for batch in still.read(still.clips):
        clips = still.records(batch.clips)
        for number, vector in zip(batch.clips.tolist(), batch.vectors, strict=True):
            clip = clips[number]
            so_far = f"{videos.get(clip.video_id, '')} {clip.clip_id} ".encode()
            videos[clip.video_id] = hashlib.sha256(so_far + vector.tobytes()).hexdigest()[:32]
    return ExternalState(place=place, generation=still.generation, dim=still.dim, vectors=len(still.clips), videos=videos)


def _nodes(still: Snapshot, videos: Collection[str]) -> Iterator[list[TextNode]]:
    for batch in still.read(still.clips):
        clips = still.records(batch.clips)
        paired = zip((clips[number] for number in batch.clips.tolist()), batch.vectors, strict=True)
        nodes = [
            _node(clip.clip_id, clip.video_id, vector.astype(np.float32)) for clip, vector in paired if clip.video_id in videos
        ]
        if nodes:
            yield nodes


def _node(node_id: str, belongs_to: str, vector: Vector) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=belongs_to)}
    return TextNode(id_=node_id, text=node_id, embedding=vector.tolist(), relationships=source)  # no store takes an empty text


def _marker_id(state: ExternalState) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, state.fingerprint))


def _marker(dim: int) -> Vector:
    """A unit vector near which no clip lies but by chance."""
    vector = np.random.default_rng(20260202).standard_normal(dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


def _is_marked(held: BasePydanticVectorStore, state: ExternalState) -> bool:
    return _marker_id(state) in _ask(held, _marker(state.dim), _SPARE)


def _ask(held: BasePydanticVectorStore, vector: Vector, k: int) -> list[str]:
    """The ids that the store puts first."""
    return list(held.query(VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=k)).ids or [])


def _read_state(folder: Path) -> ExternalState | None:
    """What is on record; None where that is nothing, or damaged: then it is found out anew."""
    try:
        found = json.loads((folder / EXTERNAL_STATE).read_bytes())
        check = found.pop("fingerprint", None)
        state = ExternalState.model_validate(found)
    except (FileNotFoundError, ValueError, AttributeError, ValidationError):
        return None
    return state if check == state.fingerprint else None


def _keep(folder: Path, state: ExternalState) -> None:
    said: Mapping[str, object] = {**state.model_dump(), "fingerprint": state.fingerprint}
    try:
        replace_file(folder / EXTERNAL_STATE, json.dumps(said).encode())
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): the copy will be examined again when it is next opened", folder / EXTERNAL_STATE, error
        )


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What a vector store raises, with what to do about it."""
    try:
        yield
    except RankVideoError:
        raise
    except Exception as error:  # each store has errors of its own
        raise ArchiveError(
            f"the vector store {place} does not do what is asked of it ({type(error).__name__}: {error}). Is it running, can "
            f"this machine reach it, and does no other process hold its file? The archive is intact: leave --vector-store out "
            f"to search with FAISS on this machine."
        ) from error
