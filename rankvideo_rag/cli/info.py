"""rankvideo info: what an archive holds, how it was made, and which files are not fully indexed."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import make_table, out, printable, render
from rankvideo_rag.cli.options import Archive, AsJson

if TYPE_CHECKING:
    from rankvideo_rag.archive import VideoArchive


def info(
    archive: Archive,
    failed: Annotated[
        bool, typer.Option("--failed", help="List every file that is not fully indexed, with reason and hint.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an archive holds: videos, hours, clips, text, models, bytes."""
    from rankvideo_rag.archive import VideoArchive

    if failed:
        _print_failed(archive, as_json=as_json)
        return
    with VideoArchive.open(archive) as opened:
        facts = _facts(opened)
    rows = [(name.replace("_", " "), _cell(value)) for name, value in facts.items()]
    render(facts, lambda: out.print(make_table(("", ""), rows, left=2, header=False)), as_json=as_json)


def _print_failed(archive: Path, *, as_json: bool) -> None:
    from rankvideo_rag.indexing.failure_hints import explain_failure
    from rankvideo_rag.storage.store import Store

    with closing(Store.open(archive)) as store:
        outcomes = store.outcomes()
    failures = [explain_failure(file) for file in outcomes if file.outcome != "ok"]

    def show() -> None:
        for failure in failures:
            out.print(f"{failure.outcome} ({printable(failure.code)}): {printable(failure.path)}", soft_wrap=True)
            out.print(f"  found: {printable(failure.message)}\n  to do: {printable(failure.hint)}", soft_wrap=True)
        out.print(f"{len(failures)} of {len(outcomes)} files are not fully indexed.")

    render([failure.model_dump() for failure in failures], show, as_json=as_json)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{printable(str(name)).replace('_', ' ')}: {_cell(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return "\n".join(map(printable, value)) or "none"
    return f"{value:,}" if type(value) is int else printable(str(value))


def _facts(opened: "VideoArchive") -> dict[str, Any]:
    from rankvideo_rag.storage.gc import disk_usage

    store, config = opened.store, opened.store.index_config
    videos, embedder, text = store.videos(), config["embedder"], config.get("text_embedder")
    bytes_by_part = disk_usage(store.folder).model_dump()
    return {
        "archive": str(store.folder),
        "profile": opened.settings.profile,
        "embedder": f"{embedder['backend']}:{embedder['model'] or 'built-in'}, {embedder['dim']} dimensions",
        "text_embedder": f"{text['backend']}:{text['model'] or 'built-in'}, {text['dim']} dimensions" if text else "none",
        "speech_recognition": config["transcriber"] or "none",
        "on_screen_text": config["text_reader"] or "none",
        "subtitles": config["subtitles"],
        "made_from": [str(source) for source in store.sources()],
        "hours": round(sum(video.probe.duration for video in videos.values()) / 3600, 4),
        **store.counts(),
        "videos_by_spoken_language": store.languages(),
        "words": {channel: {"all": sum(scripts.values()), **scripts} for channel, scripts in store.scripts().items()},
        "bytes": sum(bytes_by_part.values()),
        "bytes_by_part": bytes_by_part,
        "not_ok": [f"{file.outcome}: {file.path}: {file.reason}" for file in store.outcomes() if file.outcome != "ok"],
        "unused_streams": [f"{video.title}: {stream}" for video in videos.values() for stream in video.probe.unused],
    }
