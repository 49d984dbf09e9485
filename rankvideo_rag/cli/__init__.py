"""The command `rankvideo`. One file per command; each is thin: options in, library called, result printed.

Heavy imports stand inside the commands, so that `rankvideo --help` answers at once.
"""

import sys

import typer

from rankvideo_rag.cli import ask, bench, cache, demo, doctor, evaluate, index, info, rerank, search, serve, verify
from rankvideo_rag.cli.console import complain
from rankvideo_rag.errors import RankVideoError

app = typer.Typer(
    name="rankvideo",
    help="Ask questions of a video archive: index a folder, search it, get answers that cite video and second.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="Exit codes: 0 all fine, 3 some inputs not fully indexed, 1 the run failed, 2 wrong usage, 130 interrupted.",
)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("ask")(ask.ask)
app.command("info")(info.info)
app.command("rerank")(rerank.rerank)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(cache.cache, name="cache")
app.add_typer(bench.app, name="bench")
app.command("serve")(serve.serve)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def main() -> None:
    """Run the command line. Expected errors become one message and the exit code of their kind."""
    try:
        app()
    except RankVideoError as error:
        complain(str(error))
        sys.exit(error.exit_code)
