"""VideoArchive: an archive in LlamaIndex's idiom. The command line and the web page use exactly these objects."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.vector_stores.types import MetadataFilters

from rankvideo_rag.backends import check_backend
from rankvideo_rag.models.embedders import Embedder, load_embedder
from rankvideo_rag.ranking.windows import Windowing
from rankvideo_rag.reranker import RankVideoRerank
from rankvideo_rag.retriever import VideoRetriever
from rankvideo_rag.schema import Channel
from rankvideo_rag.settings import Fusion, Settings
from rankvideo_rag.storage.index_config import check_embedder, resolve_settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import VectorIndex
from rankvideo_rag.storage.vector_stores import open_vector_index
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


class VideoArchive:
    """An indexed archive, to be searched and asked. Models load when they are first needed.

    >>> archive = VideoArchive.open("my-archive")                                # doctest: +SKIP
    >>> print(archive.as_query_engine().query("Where is the clean room?"))       # doctest: +SKIP
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._embedder: Embedder | None = None
        self._vectors: VectorIndex | None = None
        self._loading = threading.Lock()

    @classmethod
    def open(cls, path: str | Path, settings: Settings | None = None, /, **options: Any) -> Self:
        """Open the archive at `path`.

        Args:
            path: the archive's folder.
            settings: as `Settings.load` returns them; None loads them with `options`. Values that were not set explicitly are
                taken from the settings that the archive was indexed with.
            **options: fields of `Settings`.

        Raises ArchiveError if there is no archive, ArchiveMismatch if another embedder is named than the one that indexed it,
        and InputError for an invalid option.
        """
        store = Store.open(Path(path))
        return cls(store, resolve_settings(path, store.index_config, settings or Settings.load(**options)))

    def close(self) -> None:
        """Give the database back."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def embedder(self) -> Embedder:
        """The embedder that made this archive. Raises ArchiveMismatch when its model has changed since."""
        with self._loading:
            if self._embedder is None:
                embedder = load_embedder(self.settings.embedder, self.settings.embedder_model, device=self.settings.device)
                check_embedder(self.store.folder, self.store.index_config, embedder.info)
                self._embedder = embedder
            return self._embedder

    def vectors(self) -> VectorIndex:
        """The vectors as the archive has them now: opened again when a writer has changed them."""
        with self._loading:
            if self._vectors is None or self._vectors.generation != self.store.generation:
                self._vectors = open_vector_index(self.store, self.settings)
            return self._vectors

    def as_retriever(
        self,
        *,
        top_k: int | None = None,
        weights: Mapping[Channel, float] | None = None,
        fusion: Fusion | None = None,
        no_duplicates: bool = False,
        filters: MetadataFilters | None = None,
    ) -> VideoRetriever:
        """The channels of this archive, fused, by default as its settings say; `top_k` clips, by default as many as are
        reranked, or shown without that."""
        by_default = self.settings.top_n if self.settings.reranker == "none" else self.settings.rerank_depth
        return VideoRetriever(
            self.store,
            self.vectors,
            self.embedder,
            top_k=top_k or by_default,
            depth=self.settings.retrieve_depth,
            fusion=fusion or self.settings.fusion,
            weights=weights,
            no_duplicates=no_duplicates,
            filters=filters,
        )

    def as_reranker(self, *, top_n: int | None = None) -> RankVideoRerank | None:
        """The reranker of these settings; None when it is switched off. Raises InputError for one that there is not."""
        if self.settings.reranker == "none":
            return None
        check_backend("rankvideo_rag.models.vlm", self.settings.reranker)  # pydantic would wrap what the reranker itself raises
        return RankVideoRerank(
            backend=self.settings.reranker,
            model=self.settings.reranker_model,
            device=self.settings.device,
            prompt=self.settings.prompt,
            keep_order_below=self.settings.keep_order_below,
            windows=Windowing(seconds=self.settings.window_seconds),
            reasoning=self.settings.reasoning,
            cache=self.settings.score_cache != "none" and (self.settings.score_cache or True),
            top_n=top_n or self.settings.top_n,
        )

    def as_synthesizer(self, llm: LLM | None = None, **options: Any) -> VideoAnswerSynthesizer:
        """Answers from this archive's words: written by `llm`, or quoted. Options are those of VideoAnswerSynthesizer."""
        return VideoAnswerSynthesizer(llm, text_lookup=self.store.spans, **{"min_margin": self.settings.min_margin} | options)

    def as_query_engine(
        self,
        llm: LLM | None = None,
        *,
        response_synthesizer: BaseSynthesizer | None = None,
        node_postprocessors: list[BaseNodePostprocessor] | None = None,
        callback_manager: CallbackManager | None = None,
        **retriever_options: Any,
    ) -> RetrieverQueryEngine:
        """Retrieve, rerank by watching, answer with checked citations.

        `response_synthesizer` answers in the place of `as_synthesizer(llm)`: one that streams, has plans, and so on. Without
        `node_postprocessors` the reranker of the settings is used; an empty list means none. Other options go to
        `as_retriever`.
        """
        if node_postprocessors is None:
            reranker = self.as_reranker()
            node_postprocessors = [reranker] if reranker else []
        return RetrieverQueryEngine(
            self.as_retriever(**retriever_options),
            response_synthesizer=response_synthesizer or self.as_synthesizer(llm),
            node_postprocessors=node_postprocessors,
            callback_manager=callback_manager,
        )
