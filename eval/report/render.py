"""Render a report as one self-contained HTML page: no scripts, no other files, no network access.

Questions, answers, titles and reasons are untrusted text. The template escapes them, and the page's content security policy
lets it load nothing.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rankvideo_rag.eval.report.answer_statistics import RIGHT_ANSWERS
from rankvideo_rag.eval.report.failure_analysis import FAILURE_STAGES, NOT_KNOWN, WRONG, FailureStage
from rankvideo_rag.eval.report.folder import PAGE, REPORT
from rankvideo_rag.eval.report.glossary import describe_measure
from rankvideo_rag.eval.report.plots import plot_calibration, plot_cost, plot_gains
from rankvideo_rag.eval.report.records import VARIANTS, ArchiveReport

MAX_LISTED = 300  # wrong answers on the page; report.json has all
_STAGES: dict[FailureStage, str] = {
    "not indexed": "no relevant video, or not the relevant part of one, is in the archive",
    "not retrieved": "no relevant video is among the candidates of the reranker",
    "ranked too low": "no relevant video is among those given to the generator, with or without reranking",
    "demoted by the reranker": "no relevant video was given to the generator, but one is given to it without reranking",
    "wrong window": "the right video at the wrong time, in the clips given to the generator or in the citations",
    "unsupported claim": "the answer states something that its citations do not support",
    "other": "everything else, such as abstaining although the right clips were given",
}

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_report(report: ArchiveReport, folder: Path) -> Path:
    """Write report.json and report.html into an existing folder. Return the path of the page."""
    (folder / REPORT).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    # File names that are not UTF-8 hold surrogates, which cannot be encoded.
    (folder / PAGE).write_text(render_html(report), encoding="utf-8", errors="backslashreplace")
    return folder / PAGE


def render_html(report: ArchiveReport) -> str:
    """Return the whole page."""
    wrong = [one for one in report.questions if one.outcomes["with"].status == WRONG]
    wrong.sort(key=lambda one: FAILURE_STAGES.index(one.outcomes["with"].stage or "other"))
    return _ENVIRONMENT.get_template("report.html").render(
        report=report,
        variants=VARIANTS,
        conclusion=report.benefit.summary.partition(". "),
        right=next(one for one in report.measures if one.name == RIGHT_ANSWERS),
        plots=filter(None, (plot_gains(report), plot_cost(report), plot_calibration(report))),
        stages=_STAGES,
        describe=describe_measure,
        wrong_count=len(wrong),
        wrong=wrong[:MAX_LISTED],
        unknown_count=sum(one.outcomes["with"].status == NOT_KNOWN for one in report.questions),
        facts={**report.metadata.models, "judge of answers": ", ".join(report.judges), "rankvideo-rag": report.version},
    )
