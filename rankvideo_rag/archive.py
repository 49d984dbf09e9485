"""VideoArchive: an indexed archive, and the LlamaIndex components that search it and answer from it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import BaseNode

from rankvideo_rag.answering.extractor import Extractor
from rankvideo_rag.backends import check_backend
from rankvideo_rag.indexing.text_index import load_archive_text_embedder
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.models.bundled import is_bundled, is_foreign, is_outside_vocabulary
from rankvideo_rag.models.embedders import Embedder, load_embedder
from rankvideo_rag.models.nli import NliModel, load_nli
from rankvideo_rag.models.text_embedders import TextEmbedder
from rankvideo_rag.ranking.fusion import parse_weights
from rankvideo_rag.ranking.passage_scorer import LazyPassageScorer, PassageScorer, TermScorer, load_passage_scorer
from rankvideo_rag.ranking.reasoning import MarginBand
from rankvideo_rag.ranking.relevance import Platt
from rankvideo_rag.ranking.windows import Windowing
from rankvideo_rag.reranker import RankVideoRerank
from rankvideo_rag.retriever import VideoRetriever
from rankvideo_rag.schema import Channel, TextChannel
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import check_embedder, check_text_embedder, resolve_settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import IndexOptions, VectorIndex
from rankvideo_rag.storage.vector_stores import open_vector_index
from rankvideo_rag.storage.vector_tables import VECTOR_TABLES
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


class VideoArchive:
    """An indexed archive. Models are loaded when they are first needed.

    >>> archive = VideoArchive.open("my-archive")                                # doctest: +SKIP
    >>> print(archive.as_query_engine().query("Where is the clean room?"))       # doctest: +SKIP
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._embedder: Embedder | None = None
        self._passage_scorer: PassageScorer | None = None
        self._nli: NliModel | None = None
        self._text_embedder: TextEmbedder | None = None
        self._vectors: dict[Channel, VectorIndex] = {}
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
        """Close the database."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def embedder(self) -> Embedder:
        """Return the embedder that indexed this archive. Raises ArchiveMismatch if its model has changed since."""
        with self._loading:
            if self._embedder is None:
                embedder = load_embedder(self.settings.embedder, self.settings.embedder_model, device=self.settings.device)
                check_embedder(self.store.folder, self.store.index_config, embedder.info)
                self._embedder = embedder
            return self._embedder

    def text_embedder(self) -> TextEmbedder | None:
        """Return the embedder of this archive's passages; None if they have no vectors, or it is switched off in the settings.

        Raises ArchiveMismatch if another one is named, or its model has changed since.
        """
        with self._loading:
            if self._text_embedder is None:
                self._text_embedder = load_archive_text_embedder(self.store, self.settings)
            elif self.store.index_config.get("text_embedder"):
                check_text_embedder(self.store.folder, self.store.index_config, self._text_embedder.info)
            return self._text_embedder

    def vectors(self) -> VectorIndex:
        """Return the current vector index of clips: it is opened again if a writer has changed it."""
        return self._current("visual", lambda: open_vector_index(self.store, self.settings))

    def text_vectors(self, channel: TextChannel) -> VectorIndex:
        """Return the current vector index of a channel's passages: it is opened again if a writer has changed it."""
        options = IndexOptions(gpu=self.settings.gpu)
        return self._current(channel, lambda: VectorIndex.open(self.store, options, VECTOR_TABLES[channel]))

    def _current(self, channel: Channel, open_index: Callable[[], VectorIndex]) -> VectorIndex:
        with self._loading:
            index = self._vectors.get(channel)
            if index is None or index.generation != self.store.generation_of(VECTOR_TABLES[channel]):
                index = self._vectors[channel] = open_index()
            return index

    def as_retriever(self, *, top_k: int | None = None, **options: Any) -> VideoRetriever:
        """Return a retriever over the channels of this archive.

        Options are those of `VideoRetriever`; by default they follow the settings. `top_k` defaults to the number of clips that
        are reranked, or returned if the settings have no reranker.
        """
        default_top_k = self.settings.top_n if self.settings.reranker == "none" else self.settings.rerank_depth
        defaults: dict[str, Any] = {
            "depth": self.settings.retrieve_depth,
            "weights": parse_weights(self.settings.fusion_weights),
            "text_vectors": self.text_vectors,
            "text_embedder": self.text_embedder,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return VideoRetriever(self.store, self.vectors, self.embedder, top_k=top_k or default_top_k, **(defaults | given))

    def passage_scorer(self) -> PassageScorer:
        """Return the scorer of text: the cross-encoder of the settings, else one by shared words and meaning."""
        if self._passage_scorer is None:
            settings = self.settings
            self._passage_scorer = (
                LazyPassageScorer(lambda: TermScorer(self.store.term_statistics, self.text_embedder()))
                if settings.cross_encoder == "none"
                else load_passage_scorer(settings.cross_encoder, settings.cross_encoder_model, device=settings.device)
            )
        return self._passage_scorer

    def _calibration(self) -> Platt | None:
        """Return the calibration of the settings; None: that of the model."""
        if self.settings.picture_calibration is None:
            return None
        slope, intercept = self.settings.picture_calibration
        return Platt(slope=slope, intercept=intercept, fitted_on="the setting picture_calibration")

    def _why_out_of_domain(self, node: BaseNode, question: str) -> str | None:
        """Return why the reranker cannot judge the picture of a node for a question; None if it can."""
        model = self.settings.reranker_model
        if model is None or not is_bundled(model):
            return None
        if is_outside_vocabulary(model, question):
            return f"{model} was not trained on the words of this question"
        videos = self.store.videos([str(node.metadata.get("video_id"))])
        foreign = any(is_foreign(model, video.probe) for video in videos.values())
        return f"{model} knows the demo's rendered videos only" if foreign else None

    def as_reranker(self, *, top_n: int | None = None, **options: Any) -> RankVideoRerank | None:
        """Return the reranker of the settings; None if it is switched off. Raises InputError for an unknown one.

        Options are fields of `RankVideoRerank`; by default they follow the settings. With evidence "text" none can be switched
        off, as no VLM is used.
        """
        if options.get("evidence", self.settings.evidence) != "text":
            if self.settings.reranker == "none":
                return None
            check_backend("rankvideo_rag.models.vlm", self.settings.reranker)  # pydantic would wrap the reranker's own error
        defaults = {
            "backend": self.settings.reranker,
            "model": self.settings.reranker_model,
            "device": self.settings.device,
            "prompt": self.settings.prompt,
            "evidence": self.settings.evidence,
            "calibration": self._calibration(),
            "text_lookup": self.store.spans,
            "passage_scorer": self.passage_scorer(),
            "out_of_domain": self._why_out_of_domain,
            "windows": Windowing.from_settings(self.settings),
            "reasoning": self.settings.reasoning,
            "reasoning_band": MarginBand(self.settings.reasoning_low, self.settings.reasoning_high),
            "cache": self.settings.score_cache != "none" and (self.settings.score_cache or True),
            "top_n": top_n or self.settings.top_n,
            "limits": MediaLimits.from_settings(self.settings),
        }
        return RankVideoRerank(**defaults | options)

    def _load_nli(self) -> NliModel | None:
        """Return the model of the settings that checks claims; None if there is none."""
        with self._loading:
            if self._nli is None:
                self._nli = load_nli(self.settings.nli, self.settings.nli_model, device=self.settings.device)
            return self._nli

    def extractor(self) -> Extractor:
        """Return what finds quotes that answer, with the models of this archive."""
        return Extractor(
            term_statistics=self.store.term_statistics,
            cross_encoder=None if self.settings.cross_encoder == "none" else self.passage_scorer(),
            min_probability=self.settings.min_probability,
        )

    def as_synthesizer(self, llm: LLM | None = None, **options: Any) -> VideoAnswerSynthesizer:
        """Return a synthesizer over this archive's text. Options are those of `VideoAnswerSynthesizer`."""
        nli = self._load_nli() if llm and "nli" not in options else None
        defaults: dict[str, Any] = {
            "nli": nli,
            "min_margin": self.settings.min_margin,
            "limits": MediaLimits.from_settings(self.settings),
            "extractor": self.extractor(),
        }
        return VideoAnswerSynthesizer(llm, text_lookup=self.store.spans, **defaults | options)

    def as_query_engine(
        self,
        llm: LLM | None = None,
        *,
        response_synthesizer: BaseSynthesizer | None = None,
        node_postprocessors: list[BaseNodePostprocessor] | None = None,
        callback_manager: CallbackManager | None = None,
        **retriever_options: Any,
    ) -> RetrieverQueryEngine:
        """Return a query engine that retrieves clips, reranks them and answers with verified citations.

        Args:
            llm: writes the answers; None: the archive is quoted.
            response_synthesizer: replaces `as_synthesizer(llm)`, for example one that streams.
            node_postprocessors: replace the reranker of the settings; an empty list: no reranking.
            callback_manager: as in LlamaIndex.
            **retriever_options: those of `as_retriever`.
        """
        if node_postprocessors is None:
            reranker = self.as_reranker()
            node_postprocessors = [reranker] if reranker else []
        return RetrieverQueryEngine(
            self.as_retriever(callback_manager=callback_manager, **retriever_options),
            response_synthesizer=response_synthesizer or self.as_synthesizer(llm, callback_manager=callback_manager),
            node_postprocessors=node_postprocessors,
            callback_manager=callback_manager,
        )
