"""The command `rankvideo`: one file per command, which parses options, calls the library and prints the result.

Heavy imports stand inside the commands, so that `rankvideo --help` is fast.
"""

import sys
from typing import Annotated

import typer

from rankvideo_rag import __version__
from rankvideo_rag.cli import (
    ask,
    bench,
    cache,
    console,
    demo,
    demo_models,
    demo_report,
    describe,
    doctor,
    eval,
    eval_answers,
    eval_backends,
    eval_data,
    eval_report,
    eval_reranker,
    gc,
    index,
    info,
    remove,
    rerank,
    search,
    serve,
    synthesize,
    train,
    update,
)
from rankvideo_rag.cli.console import print_error
from rankvideo_rag.errors import RankVideoError


def _print_version(wanted: bool) -> None:
    if wanted:
        console.out.print(f"rankvideo {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="rankvideo",
    help="Ask questions of a video archive: index a folder, search it, get answers that cite video and second.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="Exit codes: 0 success, 1 the run failed, 2 wrong usage, 3 some inputs not fully indexed, 130 interrupted.",
)
app.command("index")(index.index)
app.command("update")(update.update)
app.command("remove")(remove.remove)
app.command("describe")(describe.describe)
app.command("search")(search.search)
app.command("ask")(ask.ask)
app.command("info")(info.info)
app.command("gc")(gc.gc)
app.command("rerank")(rerank.rerank)
eval.app.command("corpus")(eval_data.corpus)
eval.app.command("prepare")(eval_data.prepare)
eval.app.command("submission")(eval_data.submission)
eval.app.command("report")(eval_report.report)
eval.app.command("calibrate")(eval_report.calibrate)
eval.app.command("reranker")(eval_reranker.reranker)
eval.app.command("compare-stages")(eval_reranker.compare_stages)
eval.app.command("compare-backends")(eval_backends.compare_backends)
eval.app.command("answers")(eval_answers.answers)
eval.app.command("nuggets")(eval_answers.nuggets)
demo.app.command("report")(demo_report.report)
demo.app.command("train")(demo_models.train)
demo.app.command("eval")(demo_models.evaluate)
demo.app.command("ablate")(demo_models.ablate)
app.add_typer(cache.app, name="cache")
app.add_typer(bench.app, name="bench")
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.add_typer(synthesize.app, name="synthesize")
app.add_typer(train.app, name="train")
app.add_typer(eval.app, name="eval")
app.add_typer(demo.app, name="demo")


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. An expected error becomes a message and the exit code of its class."""
    try:
        app()
    except RankVideoError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
