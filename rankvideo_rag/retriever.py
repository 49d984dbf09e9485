"""VideoRetriever: search an archive by frames and by text, and fuse the results."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters

from rankvideo_rag.errors import InputError
from rankvideo_rag.indexing.perceptual_hash import find_duplicates, is_same_text
from rankvideo_rag.metadata_filters import sql_condition
from rankvideo_rag.models.embedders import Embedder, Vector
from rankvideo_rag.nodes import clip_to_node
from rankvideo_rag.ranking.fusion import ChannelScores, FusedHit, max_fusion, reciprocal_rank_fusion, standard_score_fusion
from rankvideo_rag.schema import Channel, Clip, TextChannel
from rankvideo_rag.settings import Fusion
from rankvideo_rag.storage.database import TEXT_CHANNELS
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.text_rows import text_within
from rankvideo_rag.storage.vector_index import Neighbour, VectorIndex

MAX_QUESTION = 2_000  # characters
_PASSAGES_PER_CLIP = 4  # searched, so that enough clips remain where several passages of a clip match
DEFAULT_WEIGHTS: Mapping[Channel, float] = {"visual": 1.0, "speech": 1.0, "on_screen": 1.0, "description": 1.0}


class VideoRetriever(BaseRetriever):
    """Retrieve clips by vectors and by text, fused into one list, best first.

    The score of a hit is its fused score. Its metadata has `rank_visual`, `rank_speech`, ... (its rank in each channel that
    found it) and `duplicate_of` (the node id of a better hit of which it is a near-duplicate); all are hidden from language
    models and embedders. A `QueryBundle.embedding` is used instead of embedding the text.

    Args:
        store: the archive.
        vectors: returns the archive's present vector index.
        embedder: returns the embedder, when the visual channel first needs it.
        top_k: clips returned.
        weights: weight of each channel; 0 switches it off.
        depth: clips taken from each channel before fusion.
        fusion: "ranks" sums weighted reciprocal ranks of the channels; "scores" sums standard scores of cosine and BM25 (the
            clip's best text channel), so that a channel counts as far as its clips stand out.
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
        top_k: int = 20,
        weights: Mapping[Channel, float] | None = None,
        depth: int = 100,
        fusion: Fusion = "ranks",
        no_duplicates: bool = False,
        filters: MetadataFilters | None = None,
        **kwargs: Any,
    ) -> None:
        self._store, self._vectors, self._embedder = store, vectors, embedder
        self._top_k, self._depth, self._fusion, self._no_duplicates = top_k, depth, fusion, no_duplicates
        self._weights = {**DEFAULT_WEIGHTS, **(weights or {})}
        if unknown := set(self._weights) - set(DEFAULT_WEIGHTS):
            raise InputError(f"unknown channel {', '.join(sorted(unknown))}: the channels are {', '.join(DEFAULT_WEIGHTS)}")
        self._where = sql_condition(filters) if filters else None
        super().__init__(**kwargs)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question = _checked(query_bundle.query_str)
        neighbours = self._search_vectors(question, query_bundle.embedding) if self._weights["visual"] > 0 else []
        matches = {channel: self._search_text(channel, question) for channel in TEXT_CHANNELS if self._weights[channel] > 0}
        return self._nodes(self._fuse({neighbour.clip: neighbour.cosine for neighbour in neighbours}, matches))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def _search_vectors(self, question: str, embedding: list[float] | None) -> list[Neighbour]:
        index = self._vectors()
        if not len(index):
            return []
        vector = self._embedder().embed_queries([question])[0] if embedding is None else _unit_vector(embedding, index.dim)
        if vector is None:
            return []
        among = self._store.clips_matching(self._where) if self._where else None
        return index.search(vector, depth=self._depth, among=among)

    def _search_text(self, channel: TextChannel, question: str) -> dict[int, float]:
        """Return the clips with the best passages: row number -> score of the best one, best first."""
        found = self._store.search_text(channel, question, depth=_PASSAGES_PER_CLIP * self._depth, where=self._where)
        clips, best = self._store.clips_of_passages(found), dict[int, float]()
        for passage, score in found.items():
            if passage in clips:  # a writer may have deleted it
                best.setdefault(clips[passage], score)
        return dict(islice(best.items(), self._depth))

    def _fuse(self, cosines: Mapping[int, float], matches: Mapping[TextChannel, Mapping[int, float]]) -> list[FusedHit]:
        rankings = {"visual": list(cosines)} | {channel: list(found) for channel, found in matches.items()}
        if self._fusion == "ranks":
            weights = {str(channel): weight for channel, weight in self._weights.items()}
            return reciprocal_rank_fusion(rankings, weights=weights)
        text = max_fusion(matches, weights=self._weights)
        scores = {
            "visual": ChannelScores(cosines),
            "text": ChannelScores(text, others=self._store.clip_count(self._where) - len(text)),
        }
        return standard_score_fusion(scores, rankings, weights={"visual": self._weights["visual"]})

    def _nodes(self, fused: list[FusedHit]) -> list[NodeWithScore]:
        # A writer may have deleted clips since their channel found them; others fill the list.
        clips = self._store.clips([hit.item for hit in fused])
        existing = [hit for hit in fused if hit.item in clips]
        found = list(islice(self._with_originals(existing, clips), self._top_k))
        videos = self._store.videos(clips[hit.item].video_id for hit, _ in found)
        nodes = []
        for hit, original in found:
            clip = clips[hit.item]
            if video := videos.get(clip.video_id):
                node = clip_to_node(video, clip, self._text(clip), hit.ranks, duplicate_of=original)
                nodes.append(NodeWithScore(node=node, score=hit.score))
        return nodes

    def _with_originals(self, hits: Sequence[FusedHit], clips: Mapping[int, Clip]) -> Iterator[tuple[FusedHit, str | None]]:
        """Yield each hit with the clip_id of the better one that it duplicates; without duplicates if they are not wanted."""
        hashes = self._store.perceptual_hashes(hit.item for hit in hits)

        def same_text(one: int, other: int) -> bool:
            return is_same_text(*(self._text(clips[hits[position].item]) for position in (one, other)))

        originals = find_duplicates([hashes.get(hit.item) for hit in hits], same_text=same_text)
        for hit, original in zip(hits, originals, strict=True):
            if original is None or not self._no_duplicates:
                yield hit, None if original is None else clips[hits[original].item].clip_id

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
