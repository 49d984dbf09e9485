"""VideoRetriever: search an archive by frames and by text, and fuse the results."""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters

from rankvideo_rag.answering.questions import split_question
from rankvideo_rag.errors import InputError
from rankvideo_rag.indexing.perceptual_hash import find_duplicates, is_same_text
from rankvideo_rag.metadata_filters import sql_condition
from rankvideo_rag.models.embedders import Embedder, Vector
from rankvideo_rag.models.text_embedders import TextEmbedder
from rankvideo_rag.nodes import clip_to_node
from rankvideo_rag.ranking.fusion import DEFAULT_WEIGHTS, MEANING, ChannelResults, FusedHit, PassageScores
from rankvideo_rag.ranking.term_scores import QuestionTerms
from rankvideo_rag.ranking.vector_search import search_vectors
from rankvideo_rag.schema import Clip, SearchChannel, TextChannel
from rankvideo_rag.storage.database import TEXT_CHANNELS
from rankvideo_rag.storage.passages import IndexedPassage
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.text_rows import text_within
from rankvideo_rag.storage.vector_index import VectorIndex
from rankvideo_rag.storage.vector_tables import VECTOR_TABLES, VISUAL

MAX_QUESTION = 2_000  # characters
_PASSAGES_PER_CLIP = 2  # searched, so that enough clips remain where several passages of a clip match


class VideoRetriever(BaseRetriever):
    """Retrieve clips by vectors and by text, fused into one list, best first.

    The score of a hit is its fused score, from 0 to 1. Its metadata has `rank_visual`, `rank_speech`, ... (its rank in each
    channel that found it), `score_visual`, ... (its normalised score there), `passage_start` and `passage_end` (seconds of the
    best passage of its text) and `duplicate_of` (the node id of a better hit of which it is a near-duplicate); all are hidden
    from language models and embedders. A `QueryBundle.embedding` is used instead of embedding the text.

    Args:
        store: the archive.
        vectors: returns the archive's present vector index.
        embedder: returns the embedder, when the visual channel first needs it.
        text_vectors: returns the present vector index of a text channel's passages; None: text is searched by terms only.
        text_embedder: returns the embedder of passages; None if they have no vectors.
        top_k: clips returned.
        weights: weight of each channel; 0 switches it off.
        depth: clips taken from each channel before fusion.
        no_duplicates: leave near-duplicates out instead of marking them; other clips fill the list.
        filters: LlamaIndex metadata filters on video_id, title, file_path, start, end, duration.

    Raises InputError for a question without letters or digits, one of over 2,000 characters, and for unknown filters.
    """

    def __init__(
        self,
        store: Store,
        vectors: Callable[[], VectorIndex],
        embedder: Callable[[], Embedder],
        *,
        text_vectors: Callable[[TextChannel], VectorIndex] | None = None,
        text_embedder: Callable[[], TextEmbedder | None] = lambda: None,
        top_k: int = 20,
        weights: Mapping[SearchChannel, float] | None = None,
        depth: int = 100,
        no_duplicates: bool = False,
        filters: MetadataFilters | None = None,
        **kwargs: Any,
    ) -> None:
        self._store, self._vectors, self._embedder = store, vectors, embedder
        self._text_vectors, self._text_embedder = text_vectors, text_embedder
        self._top_k, self._depth, self._no_duplicates = top_k, depth, no_duplicates
        self._weights = {**DEFAULT_WEIGHTS, **(weights or {})}
        if unknown := set(self._weights) - set(DEFAULT_WEIGHTS):
            raise InputError(f"unknown channel {', '.join(sorted(unknown))}: the channels are {', '.join(DEFAULT_WEIGHTS)}")
        self._where = sql_condition(filters) if filters else None
        super().__init__(**kwargs)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question, embedding = query_bundle.query_str, query_bundle.embedding
        parts = split_question(_checked(question))
        if embedding is not None or len(parts) == 1:
            return self._retrieve_part(question, embedding)
        best: dict[str, NodeWithScore] = {}
        for hit in (hit for part in parts for hit in self._retrieve_part(part)):
            known = best.get(hit.node.node_id)
            if known is None or (hit.score or 0.0) > (known.score or 0.0):
                best[hit.node.node_id] = hit
        return sorted(best.values(), key=lambda hit: -(hit.score or 0.0))[: self._top_k]

    def _retrieve_part(self, question: str, embedding: list[float] | None = None) -> list[NodeWithScore]:
        results = self.search_channels(question, embedding)
        return self._nodes(results.fuse(self._weights), results.clips)

    def search_channels(self, question: str, embedding: list[float] | None = None) -> ChannelResults:
        """Return what each channel finds for a question, before fusion; channels with the weight 0 are not searched."""
        question = _checked(question)
        pictures = self._search_pictures(question, embedding) if self._weights["visual"] > 0 else {}
        passages = self._search_passages(question)
        # A writer may have deleted clips since their channel found them; others fill the list.
        clips = self._store.clips({*pictures, *(passage.clip for passage in passages.values())})
        return ChannelResults(
            {clip: score for clip, score in pictures.items() if clip in clips},
            {number: passage for number, passage in passages.items() if passage.clip in clips},
            clips,
        )

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def _search_pictures(self, question: str, embedding: list[float] | None) -> dict[int, float]:
        """Return the normalised scores of the clips nearest to a question."""
        index = self._vectors()
        if not len(index):
            return {}
        vector = self._embedder().embed_queries([question])[0] if embedding is None else _unit_vector(embedding, index.dim)
        if vector is None:
            return {}
        among = self._store.clips_matching(self._where) if self._where else None
        return search_vectors(self._store, VISUAL, index, vector, depth=self._depth, among=among)

    def _search_passages(self, question: str) -> dict[int, PassageScores]:
        """Return the passages that match a question by terms or by meaning, with their normalised scores."""
        found: dict[int, IndexedPassage] = {}
        by_meaning: dict[int, float] = {}
        vector = self._embed_text(question)
        for channel in TEXT_CHANNELS:
            near = self._search_meaning(channel, vector) if vector is not None and self._weights[MEANING[channel]] > 0 else {}
            matching = self._search_terms(channel, question) if self._weights[channel] > 0 else []
            found |= self._store.indexed_passages(channel, [*near, *matching])
            by_meaning |= near
        by_terms = QuestionTerms.of(question, self._store.term_statistics).score(found)
        scores: dict[int, dict[SearchChannel, float]] = {number: {} for number in found}
        for number, passage in found.items():
            if self._weights[passage.channel] > 0 and by_terms[number] > 0:
                scores[number][passage.channel] = by_terms[number]
            if number in by_meaning:
                scores[number][MEANING[passage.channel]] = by_meaning[number]
        return {number: PassageScores(one.clip, one.start, scores[number]) for number, one in found.items()}

    def _embed_text(self, question: str) -> Vector | None:
        """Return the vector (dim,) of a question; None if passages have no vectors, or the model knows none of its words."""
        embedder = self._text_embedder() if any(self._weights[channel] > 0 for channel in MEANING.values()) else None
        if self._text_vectors is None or embedder is None:
            return None
        vector: Vector = embedder.embed_queries([question])[0]
        return vector if vector.any() else None

    def _search_meaning(self, channel: TextChannel, vector: Vector) -> dict[int, float]:
        assert self._text_vectors
        among = self._store.passages_matching(channel, self._where) if self._where else None
        depth = _PASSAGES_PER_CLIP * self._depth
        index = self._text_vectors(channel)
        return search_vectors(self._store, VECTOR_TABLES[channel], index, vector, depth=depth, among=among)

    def _search_terms(self, channel: TextChannel, question: str) -> Iterable[int]:
        return self._store.search_text(channel, question, depth=_PASSAGES_PER_CLIP * self._depth, where=self._where)

    def _nodes(self, fused: Sequence[FusedHit], clips: Mapping[int, Clip]) -> list[NodeWithScore]:
        found = list(islice(self._with_originals(fused, clips), self._top_k))
        videos = self._store.videos(clips[hit.clip].video_id for hit, _ in found)
        passages = self._store.passages(hit.passage for hit, _ in found if hit.passage is not None)
        nodes = []
        for hit, original in found:
            clip = clips[hit.clip]
            if video := videos.get(clip.video_id):
                passage = passages.get(hit.passage) if hit.passage is not None else None
                node = clip_to_node(video, clip, self._text(clip), hit, passage=passage, duplicate_of=original)
                nodes.append(NodeWithScore(node=node, score=hit.score))
        return nodes

    def _with_originals(self, hits: Sequence[FusedHit], clips: Mapping[int, Clip]) -> Iterator[tuple[FusedHit, str | None]]:
        """Yield each hit with the clip_id of the better one that it duplicates; without duplicates if they are not wanted."""
        hashes = self._store.perceptual_hashes(hit.clip for hit in hits)

        def same_text(one: int, other: int) -> bool:
            return is_same_text(*(self._text(clips[hits[position].clip]) for position in (one, other)))

        originals = find_duplicates([hashes.get(hit.clip) for hit in hits], same_text=same_text)
        for hit, original in zip(hits, originals, strict=True):
            if original is None or not self._no_duplicates:
                yield hit, None if original is None else clips[hits[original].clip].clip_id

    def _text(self, clip: Clip) -> str:
        spans = self._store.spans(clip.video_id, clip.start, clip.end)
        texts = (text_within(spans, channel, clip.start, clip.end) for channel in TEXT_CHANNELS)
        return "\n".join(text for text in texts if text)


def _checked(question: str) -> str:
    if not any(character.isalnum() for character in question):
        raise InputError("the question is empty: it needs a word")
    if len(question) > MAX_QUESTION:
        raise InputError(f"the question has {len(question):,} characters, at most {MAX_QUESTION:,} are read: shorten it")
    return question


def _unit_vector(embedding: list[float], dim: int) -> Vector:
    vector = np.asarray(embedding, dtype=np.float32)
    norm = float(np.linalg.norm(vector))
    if vector.shape != (dim,) or not math.isfinite(norm) or norm == 0:
        raise InputError(
            f"QueryBundle.embedding must be {dim} finite numbers, not all 0; got shape {vector.shape}, norm {norm}"
        )
    return vector / np.float32(norm)
