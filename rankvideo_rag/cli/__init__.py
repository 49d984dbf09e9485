"""The command `rankvideo`. One file per command; each is thin: options in, library called, result printed.

Heavy imports stand inside the commands, so that `rankvideo --help` answers at once.
"""

import sys

import typer

from rankvideo_rag.cli import (
    ask,
    bench,
    cache,
    demo,
    demo_report,
    demo_training,
    doctor,
    eval,
    eval_answers,
    eval_backends,
    eval_compare,
    eval_data,
    eval_report,
    failures,
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
app.command("update")(update.update)
app.command("remove")(remove.remove)
app.command("search")(search.search)
app.command("ask")(ask.ask)
app.command("info")(info.info)
app.command("failures")(failures.failures)
app.command("gc")(gc.gc)
app.command("rerank")(rerank.rerank)
app.command("evaluate")(eval_compare.evaluate)
eval.app.command("corpus")(eval_data.corpus)
eval.app.command("prepare")(eval_data.prepare)
eval.app.command("submission")(eval_data.submission)
eval.app.command("report")(eval_report.report)
eval.app.command("threshold")(eval_report.threshold)
eval.app.command("answers")(eval_answers.answers)
eval.app.command("nuggets")(eval_answers.nuggets)
demo.app.command("report")(demo_report.report)
demo.app.command("train")(demo_training.train)
demo.app.command("exam")(demo_training.exam)
demo.app.command("ablate")(demo_training.ablate)
app.add_typer(cache.cache, name="cache")
app.add_typer(bench.app, name="bench")
app.command("serve")(serve.serve)
app.command("verify")(eval_backends.verify)
app.command("doctor")(doctor.doctor)
app.add_typer(synthesize.app, name="synthesize")
app.add_typer(train.app, name="train")
app.add_typer(eval.app, name="eval")
app.add_typer(demo.app, name="demo")


def main() -> None:
    """Run the command line. Expected errors become one message and the exit code of their kind."""
    try:
        app()
    except RankVideoError as error:
        complain(str(error))
        sys.exit(error.exit_code)
