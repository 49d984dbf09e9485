"""rankvideo describe: captions of an archive's clips by a multimodal model."""

from typing import Annotated, Any

import typer

from rankvideo_rag.cli.console import PARTIAL, out, printable, progress, render
from rankvideo_rag.cli.options import Archive, AsJson, setting_options

_LISTED = 10  # failed clips that are printed; --json has all of them


@setting_options("device", "media_seconds", "media_bytes")
def describe(
    archive: Archive,
    backend: Annotated[str, typer.Option(help="Backend: transformers, vllm, server, recorded, or package.module:function.")],
    model: Annotated[
        str | None, typer.Option(help="Hub name, local path, or an endpoint's address such as http://host:8000/v1#model.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace descriptions by another model.")] = False,
    fps: Annotated[float, typer.Option(min=0.01, help="Frames per second that the model is shown.")] = 2.0,
    max_frames: Annotated[int, typer.Option(min=1, help="Most frames that the model is shown.")] = 32,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a description.")] = 256,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips at once; each batch is committed.")] = 4,
    as_json: AsJson = False,
    *,
    options: dict[str, Any],
) -> None:
    """Describe every clip with a multimodal model, so that search finds what it shows.

    An interrupted run continues when started again.
    """
    from rankvideo_rag.indexing.describe import DescribeOptions
    from rankvideo_rag.indexing.describe import describe as run
    from rankvideo_rag.media import MediaLimits
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.schema import FrameBudget
    from rankvideo_rag.settings import Settings

    settings = Settings.load(**options)
    frames = FrameBudget(fps=fps, max_frames=max_frames, min_frames=min(FrameBudget().min_frames, max_frames))
    vlm = load_vlm(backend, model, device=settings.device)
    with progress("describe", unit="clips") as advance:
        report = run(
            archive,
            vlm,
            DescribeOptions(frames, max_tokens, batch_size, MediaLimits.from_settings(settings)),
            replace=replace,
            device=settings.device,
            progress=advance,
        )

    def show() -> None:
        out.print(
            f"{report.described} clips described by {printable(report.model)} in {report.seconds:.1f} s, {report.unchanged} "
            f"unchanged, {len(report.failed)} failed.",
            soft_wrap=True,
        )
        for clip in report.failed[:_LISTED]:
            out.print(f"  {printable(clip.path)} {clip.start:.1f}-{clip.end:.1f} s: {printable(clip.reason)}", soft_wrap=True)

    render(report, show, as_json=as_json)
    if report.failed:
        raise typer.Exit(PARTIAL)
