"""Bring passages and their vectors up to date from the stored text. No media file is opened.

It is done for the videos of archives that an earlier version made, or that had another text embedder or none, for descriptions,
and where a run was stopped before. One transaction per video: an interrupted run can be continued.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ModelError
from rankvideo_rag.models.text_embedders import TextEmbedder, load_text_embedder
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import check_text_embedder
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.writer import open_writer

_BATCH = 512  # texts embedded at once, at least: many videos have little text

OnVideo = Callable[[Path], None]


def load_text_embedder_of(settings: Settings) -> TextEmbedder | None:
    """Load the text embedder of the settings; None if it is switched off.

    Raises MissingDependency or ModelError where it cannot be loaded.
    """
    if settings.text_embedder == "none":
        return None
    try:
        return load_text_embedder(settings.text_embedder, settings.text_embedder_model, device=settings.device)
    except ModelError as error:
        raise ModelError(f"{error}. Text is searched by words alone with --text-embedder none") from error


def load_archive_text_embedder(store: Store, settings: Settings) -> TextEmbedder | None:
    """Load the text embedder that embedded an archive's passages; None if there is none.

    Raises ArchiveMismatch if its model has changed since, and what `load_text_embedder_of` raises.
    """
    if store.index_config.get("text_embedder") is None:
        return None
    embedder = load_text_embedder_of(settings)
    if embedder:
        check_text_embedder(store.folder, store.index_config, embedder.info)
    return embedder


def embed_texts(embedder: TextEmbedder, texts: list[str]) -> dict[str, NDArray[np.float16]]:
    """Return the vectors (dim,) of texts by text, as they are stored."""
    vectors = embedder.embed_passages(texts).astype(np.float16) if texts else ()
    return dict(zip(texts, vectors, strict=True))


def needs_text_index(store: Store, *, embedded: bool) -> bool:
    """Return whether there is anything to do for `update_text_index`."""
    return bool(store.videos_without_passages() or (embedded and store.videos_without_text_vectors()))


def update_text_index(store: Store, embedder: TextEmbedder | None, *, on_video: OnVideo = lambda path: None) -> int:
    """Make missing passages of all videos, and their vectors with an embedder; return the number of texts embedded.

    Args:
        store: the archive.
        embedder: the one of the archive's index config; None: passages get no vectors.
        on_video: called with the path of each video that is brought up to date.

    Raises ArchiveLocked while another process writes the archive.
    """
    if not needs_text_index(store, embedded=embedder is not None):
        return 0
    embedded = 0
    with open_writer(store) as writer:
        for texts in _batches(store, embedder is not None):
            every = list(dict.fromkeys(text for of_video in texts.values() for text in of_video))
            vectors = embed_texts(embedder, every) if embedder else None
            embedded += len(every) if embedder else 0
            for video_id in texts:
                on_video(next(iter(store.paths(video_id)), Path(video_id)))
                writer.index_text(video_id, vectors)
    return embedded


def _batches(store: Store, embedded: bool) -> Iterator[dict[str, list[str]]]:
    """Yield the texts to embed of some videos at a time, by video."""
    pending = {*store.videos_without_passages(), *(store.videos_without_text_vectors() if embedded else ())}
    batch, texts = dict[str, list[str]](), 0
    for video_id in sorted(pending):
        batch[video_id] = store.texts_to_embed(video_id) if embedded else []
        texts += len(batch[video_id])
        if texts >= _BATCH or not texts:
            yield batch
            batch, texts = {}, 0
    if batch:
        yield batch
