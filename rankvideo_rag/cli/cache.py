"""rankvideo cache: the cache of reranker scores."""

from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import make_table, note, out, printable, render
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.ranking.cache import ScoreCache

app = typer.Typer(no_args_is_help=True, help="Show or clear the cache of reranker scores.")

CacheFile = Annotated[
    str | None, typer.Option("--cache", metavar="FILE", help="The cache's file; by default that of the settings.")
]


@app.command("info")
def info(cache: CacheFile = None, as_json: AsJson = False) -> None:
    """Show where the cache is and how many scores of which model it holds."""
    found = _open(cache).info()

    def show() -> None:
        sizes = f"scores {found.entries}, known files {found.files}, bytes {found.bytes:,}"
        out.print(f"{printable(found.path)}: {sizes}", soft_wrap=True)
        if found.models:
            out.print(make_table(("model", "scores"), ((printable(model), str(n)) for model, n in found.models.items())))

    render(found._asdict(), show, as_json=as_json)


@app.command("clear")
def clear(
    model: Annotated[str | None, typer.Option(help="Only this model's scores, named as `cache info` does.")] = None,
    cache: CacheFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete scores; they are computed again when they are needed."""
    opened = _open(cache)
    known = opened.info().models
    cleared = opened.clear(model)
    if model is not None and model not in known:
        note(f"the cache holds no scores of {model!r}; it holds {', '.join(known) or 'none'}")
    render({"path": str(opened.path), "cleared": cleared}, lambda: out.print(f"scores deleted: {cleared}"), as_json=as_json)


def _open(cache: str | None) -> "ScoreCache":
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.ranking.cache import open_cache
    from rankvideo_rag.settings import Settings

    opened = open_cache(Settings.load(score_cache=cache).score_cache)
    if opened is None:
        raise InputError("the settings disable the cache (score_cache = none): name one with --cache FILE")
    return opened
