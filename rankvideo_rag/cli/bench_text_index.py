"""rankvideo bench text-index: what the text of an hour of speech takes in an archive."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from rankvideo_rag.cli.console import out, printable, render
from rankvideo_rag.cli.options import AsJson, setting_options


@setting_options("text_embedder", "text_embedder_model", "device")
def text_index(
    transcripts: Annotated[Path, typer.Argument(help="Folder of subtitle files.")],
    options: dict[str, Any],
    as_json: AsJson = False,
) -> None:
    """Measure passages, bytes and embedding time per hour of speech."""
    from rankvideo_rag.eval.benchmarks.text_index import benchmark_text_index
    from rankvideo_rag.models.text_embedders import load_text_embedder
    from rankvideo_rag.settings import Settings

    settings = Settings.load(**options)
    embedder = load_text_embedder(settings.text_embedder, settings.text_embedder_model, device=settings.device)
    with tempfile.TemporaryDirectory() as folder:
        found = benchmark_text_index(Path(folder) / "archive", transcripts, embedder)
    line = (
        f"{printable(found.text_embedder)}, {found.hours:.2f} h of speech; per hour: {found.passages:.0f} passages, text "
        f"{found.text_bytes / 1e3:.0f} kB, vectors {found.vector_bytes / 1e3:.0f} kB, index files "
        f"{found.index_bytes / 1e3:.0f} kB; embedded in {found.seconds:.1f} s"
    )
    render(found, lambda: out.print(line, soft_wrap=True), as_json=as_json)
