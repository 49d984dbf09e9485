"""rankvideo cache: what is kept of RankVideo's verdicts, and forgetting it."""

from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import note, out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.ranking.cache import ScoreCache

cache = typer.Typer(no_args_is_help=True, help="The verdicts that are kept, so that no pair is judged twice.")

Place = Annotated[
    str | None,
    typer.Option("--cache", metavar="FILE", help="The cache's file; by default that of the settings.", show_default=False),
]


@cache.command("info")
def info(place: Place = None, as_json: AsJson = False) -> None:
    """Show where the cache is and how many verdicts of which model it holds."""
    found = _opened(place).info()
    if as_json:
        print_json(found._asdict())
        return
    out.print(
        f"{shown(found.path)}: verdicts {found.entries}, known files {found.files}, bytes {found.bytes:,}", soft_wrap=True
    )
    if found.models:
        table = plain_table()
        table.add_column("model")
        table.add_column("verdicts", justify="right")
        for model, entries in found.models.items():
            table.add_row(shown(model), str(entries))
        out.print(table)


@cache.command("clear")
def clear(
    model: Annotated[
        str | None, typer.Option(help="Only this model's verdicts, named as `cache info` does.", show_default=False)
    ] = None,
    place: Place = None,
    as_json: AsJson = False,
) -> None:
    """Forget verdicts: they are made anew when they are next needed."""
    opened = _opened(place)
    known = opened.info().models
    gone = opened.clear(model)
    if model is not None and model not in known:
        note(f"nothing is kept of {model!r}: there is {', '.join(known) or 'nothing at all'}")
    if as_json:
        print_json({"path": str(opened.path), "cleared": gone})
    else:
        out.print(f"verdicts forgotten: {gone}")


def _opened(place: str | None) -> "ScoreCache":
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.ranking.cache import open_cache
    from rankvideo_rag.settings import Settings

    opened = open_cache(Settings.load(score_cache=place).score_cache)
    if opened is None:
        raise InputError("the settings switch the cache off (score_cache = none): name one with --cache FILE")
    return opened
