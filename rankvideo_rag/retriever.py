"""VideoRetriever: a question to clips, by several channels that meet by rank or by score."""

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
DEFAULT_WEIGHTS: Mapping[Channel, float] = {"visual": 1.0, "speech": 1.0, "on_screen": 1.0, "description": 1.0}


class VideoRetriever(BaseRetriever):
    """Clips that may answer a question, best first: vectors and words each give a list, and the lists become one.

    The score of a hit is its fused score; metadata `rank_visual`, `rank_speech`, … hold its rank in each channel that found
    it, and `duplicate_of` the node id of a better hit that shows the same (near-duplicates, as after another encoding); all are
    hidden from language models and embedders. A `QueryBundle.embedding` is used as it is instead of embedding the text.

    Args:
        store: the archive's records.
        vectors: gives the archive's vectors as they are now.
        embedder: gives the embedder when the visual channel first needs it.
        top_k: clips returned.
        weights: weight of each channel; 0 switches it off.
        depth: clips taken from each channel before fusion.
        fusion: "ranks" sums weighted reciprocal ranks of the channels; "scores" sums the standard scores of cosine and of BM25
            (a clip's greatest in a channel of words), so that a channel counts as far as its clips stand out.
        no_duplicates: leave out hits that show the same as a better one, instead of marking them; others fill the list.
        filters: LlamaIndex metadata filters on video_id, title, file_path, start, end, duration.

    Raises InputError for a question without words, one of over 2,000 characters, and for filters on unknown metadata.
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
        near = self._by_vector(question, query_bundle.embedding) if self._weights["visual"] > 0 else []
        said = {
            channel: self._store.search_text(channel, question, depth=self._depth, where=self._where)
            for channel in TEXT_CHANNELS
            if self._weights[channel] > 0
        }
        return self._nodes(self._fused({neighbour.clip: neighbour.cosine for neighbour in near}, said))

    def _fused(self, near: Mapping[int, float], said: Mapping[TextChannel, Mapping[int, float]]) -> list[FusedHit]:
        rankings = {"visual": list(near)} | {channel: list(found) for channel, found in said.items()}
        if self._fusion == "ranks":
            weights = {str(channel): weight for channel, weight in self._weights.items()}
            return reciprocal_rank_fusion(rankings, weights=weights)
        words = max_fusion(said, weights=self._weights)
        scores = {
            "visual": ChannelScores(near),
            "words": ChannelScores(words, others=self._store.clip_count(self._where) - len(words)),
        }
        return standard_score_fusion(scores, rankings, weights={"visual": self._weights["visual"]})

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def _by_vector(self, question: str, embedding: list[float] | None) -> list[Neighbour]:
        index = self._vectors()
        if not len(index):
            return []
        vector = self._embedder().embed_queries([question])[0] if embedding is None else _unit(embedding, index.dim)
        if vector is None:
            return []
        among = self._store.clips_matching(self._where) if self._where else None
        return index.search(vector, depth=self._depth, among=among)

    def _nodes(self, fused: list[FusedHit]) -> list[NodeWithScore]:
        # A clip may be gone since its channel found it, if a writer is at work: those that are there fill the list.
        clips = self._store.clips([hit.item for hit in fused])
        there = [hit for hit in fused if hit.item in clips]
        found = list(islice(self._with_originals(there, clips), self._top_k))
        videos = self._store.videos(clips[hit.item].video_id for hit, _ in found)
        return [
            NodeWithScore(node=clip_to_node(videos[c.video_id], c, self._words(c), hit.ranks, duplicate_of=of), score=hit.score)
            for hit, of in found
            if (c := clips[hit.item]).video_id in videos
        ]

    def _with_originals(self, hits: Sequence[FusedHit], clips: Mapping[int, Clip]) -> Iterator[tuple[FusedHit, str | None]]:
        """Each hit with the clip_id of a better one that shows the same; without duplicates where these are not wanted."""
        pictures = self._store.perceptual_hashes(hit.item for hit in hits)

        def same_text(one: int, other: int) -> bool:
            return is_same_text(*(self._words(clips[hits[place].item]) for place in (one, other)))

        originals = find_duplicates([pictures.get(hit.item) for hit in hits], same_text=same_text)
        for hit, of in zip(hits, originals, strict=True):
            if of is None or not self._no_duplicates:
                yield hit, None if of is None else clips[hits[of].item].clip_id

    def _words(self, clip: Clip) -> str:
        spans = self._store.spans(clip.video_id, clip.start, clip.end)
        words = (text_within(spans, channel, clip.start, clip.end) for channel in TEXT_CHANNELS)
        return "\n".join(text for text in words if text)


def _checked(question: str) -> str:
    if not any(character.isalnum() for character in question):
        raise InputError("the question is empty: ask something in words")
    if len(question) > MAX_QUESTION:
        raise InputError(f"the question has {len(question):,} characters, at most {MAX_QUESTION:,} are read: shorten it")
    return question


def _unit(embedding: list[float], dim: int) -> Vector:
    vector = np.asarray(embedding, dtype=np.float32)
    norm = float(np.linalg.norm(vector))
    if vector.shape != (dim,) or not math.isfinite(norm) or norm == 0:
        raise InputError(
            f"QueryBundle.embedding must be {dim} finite numbers, not all 0; got shape {vector.shape}, norm {norm}"
        )
    return vector / np.float32(norm)
