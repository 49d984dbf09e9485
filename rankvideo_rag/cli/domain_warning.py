"""A note when the tiny models are used on videos that they were not trained for."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rankvideo_rag.cli.console import note

if TYPE_CHECKING:
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.storage.store import Store


def warn_if_foreign(store: "Store", settings: "Settings", video_ids: Iterable[str] | None = None) -> None:
    """Note how many of these videos (by default all) the tiny models cannot judge; nothing if other models are used."""
    from rankvideo_rag.models.bundled import is_foreign

    models = (settings.embedder_model, settings.reranker_model if settings.reranker != "none" else None)
    probes = [video.probe for video in store.videos(video_ids).values() if video.probe.width]
    foreign = sum(any(is_foreign(model, probe) for model in models) for probe in probes)
    if foreign:
        note(
            f"{foreign} of {len(probes)} videos are not rendered by the demo, the only kind that the tiny models know: their "
            "pictures are not scored by the tiny reranker, and what the tiny embedder finds there means nothing; text works as "
            "usual. Index these videos into another archive with --profile cpu or --profile gpu (they download models), or "
            "rerank with --reranker transformers --reranker-model hltcoe/RankVideo."
        )
