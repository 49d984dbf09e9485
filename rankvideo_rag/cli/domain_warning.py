"""Saying plainly when the tiny models look at videos that they know nothing of, and which profile knows more."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rankvideo_rag.cli.console import note

if TYPE_CHECKING:
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.storage.store import Store


def say_what_is_foreign(store: "Store", settings: "Settings", video_ids: Iterable[str] | None = None) -> None:
    """Tell how many of these videos, by default of all, the tiny models cannot judge; nothing where other models are used."""
    from rankvideo_rag.models.bundled import is_bundled
    from rankvideo_rag.synthetic.render import is_synthetic

    models = (settings.embedder_model, settings.reranker_model if settings.reranker != "none" else None)
    tiny = any(model and is_bundled(model) for model in models)
    probes = [video.probe for video in store.videos(video_ids).values() if video.probe.width] if tiny else []
    foreign = sum(not is_synthetic(probe) for probe in probes)
    if foreign:
        note(
            f"{foreign} of {len(probes)} videos are not of the demo's little world, the only one that the tiny models know: "
            "what they find or judge in these pictures means nothing; words are searched as ever. Index them into another "
            "archive with --profile cpu or --profile gpu (they download models), or watch with --reranker transformers "
            "--reranker-model hltcoe/RankVideo."
        )
