"""rankvideo eval report: evaluate an archive with and without reranking; rankvideo eval calibrate: choose min_margin."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from rankvideo_rag.cli.console import make_table, note, out, printable, progress, render, writing
from rankvideo_rag.cli.judge_options import (
    JudgeModel,
    JudgeName,
    Stems,
    VideoJudgeName,
    VideoModel,
    load_text_judge,
    load_video_judge,
)
from rankvideo_rag.cli.options import (
    LLM_SETTINGS,
    AsJson,
    EvidenceSubsets,
    Frames,
    Llm,
    LlmUrl,
    Output,
    load_llm,
    setting_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rankvideo_rag.eval.answers.judgement_cache import JudgementCache
    from rankvideo_rag.eval.report.calibrate import CalibratedMargin
    from rankvideo_rag.eval.report.folder import ReportInputs
    from rankvideo_rag.eval.report.records import ArchiveReport

FEW = 30  # questions; a share over fewer moves by several hundredths with a single one


class _AnswerOptions(NamedTuple):
    """The LLM that writes the answers, and what it is shown."""

    llm: str | None
    llm_url: str | None
    frames: int
    evidence_subsets: int


class _JudgeOptions(NamedTuple):
    """The judges of answers."""

    text: str | None
    text_model: str | None
    video: str | None
    video_model: str | None
    device: str | None


@setting_options(
    "profile", "reranker", "reranker_model", "evidence", "score_cache", "device", "min_margin", "min_probability", *LLM_SETTINGS
)
def report(
    output: Output,
    options: dict[str, Any],
    archive: Annotated[
        Path | None, typer.Argument(help="The archive's folder. Without it, the report is computed again from its folder.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Questions with reference answers, JSON lines; or id, tab, text.")
    ] = None,
    qrels: Annotated[Path | None, typer.Option(help="TREC qrels (four columns), or MultiVENT 2.0's JSON lines.")] = None,
    measures: Annotated[str, typer.Option(help="Names as in ir-measures; the first one decides.")] = "nDCG@10 R@10",
    stems: Stems = False,
    llm: Llm = None,
    llm_url: LlmUrl = None,
    frames: Frames = 0,
    evidence_subsets: EvidenceSubsets = 1,
    judge: JudgeName = None,
    judge_model: JudgeModel = None,
    video_judge: VideoJudgeName = None,
    video_model: VideoModel = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Take every judgement from the report's folder; load no model.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask an archive every question with and without reranking, and write report.html and report.json.

    The report says whether reranking helped and what it cost, how good the answers are, and at which stage wrong ones were
    lost. The folder keeps runs, answers and judgements: without ARCHIVE the report is computed again, and no model is needed.
    Reranking is not timed if --score-cache is given.
    """
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.eval.report.folder import read_report_folder

    build_report = import_optional("rankvideo_rag.eval.report.build", "eval").build_report
    write_report = import_optional("rankvideo_rag.eval.report.render", "eval").write_report
    judges = _JudgeOptions(judge, judge_model, video_judge, video_model, options.pop("device", None))
    if archive is None:
        subsets = evidence_subsets if evidence_subsets > 1 else None
        answering = {"llm": llm, "llm_url": llm_url, "frames": frames or None, "evidence_subsets": subsets}
        _refuse_without_archive({**options, "questions": questions, "qrels": qrels, **answering})
    else:
        answer_options = _AnswerOptions(llm, llm_url, frames, evidence_subsets)
        asking = {"score_cache": "none", "device": judges.device} | options
        _ask(archive, questions, qrels, output, answer_options, stems, asking)
    inputs = read_report_folder(output, stems=stems and archive is None)
    judgements = _judgements(output, inputs, judges, replay=replay)
    found: ArchiveReport = build_report(inputs, judgements, measures=measures.split())
    with writing(output):
        page = write_report(found, output)
    for line in (*found.notes, *_undecided(found)):
        note(line)
    render(found, lambda: _print(found, page), as_json=as_json)


def calibrate(
    folder: Annotated[Path, typer.Argument(help="A report's folder.")],
    max_error: Annotated[
        float, typer.Option(help="Largest share of the answered questions that may have no answer in the archive.")
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Choose min_margin, from which an archive answers, and the margins in doubt, from a report with unanswerable questions."""
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.eval.report.folder import read_report_folder

    calibrate_min_margin = import_optional("rankvideo_rag.eval.report.calibrate", "eval").calibrate_min_margin
    found: CalibratedMargin = calibrate_min_margin(read_report_folder(folder), max_error=max_error)
    render(found, lambda: _print_margin(found, max_error), as_json=as_json)
    bounds = ("none" if bound is None else f"{bound:g}" for bound in (found.reasoning_low, found.reasoning_high))
    note("margins in doubt, for the settings reasoning_low and reasoning_high: {} to {}".format(*bounds))
    if found.picture:
        slope, intercept = found.picture.slope, found.picture.intercept
        note(f"margins as probabilities: picture_calibration = [{slope:.3g}, {intercept:.3g}], on {found.picture.fitted_on}")
    if found.not_scored:
        note(f"questions left out because no clip has a margin: {found.not_scored}")
    if found.unanswerable < FEW:
        note(f"{found.unanswerable} unanswerable questions are few: the share may differ for others")


def _print_margin(found: "CalibratedMargin", max_error: float) -> None:
    counts = f"{found.questions} questions with a margin, {found.unanswerable} of them unanswerable"
    if found.min_margin is None:
        line = f"{counts}: at no margin are {1 - max_error:.0%} of the questions at or above it answerable."
        out.print(line, soft_wrap=True)
        return
    out.print(
        f"Answer from a margin of {found.min_margin}: {found.wrongly_answered:.1%} of the questions at or above it have no "
        f"answer, and {found.answered:.1%} of the answerable ones are among them ({counts}).",
        soft_wrap=True,
    )
    out.print(f"Use it: ask --min-margin {found.min_margin}, or the setting min_margin.", soft_wrap=True)


def _refuse_without_archive(options: dict[str, object]) -> None:
    from rankvideo_rag.errors import InputError

    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)} need an archive: name one, or leave these out to compute the report again")


def _ask(
    archive: Path,
    questions: Path | None,
    qrels: Path | None,
    output: Path,
    answering: _AnswerOptions,
    stems: bool,
    options: dict[str, Any],
) -> None:
    """Ask the archive every question and write the report's folder."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.eval.report.questions import read_questions
    from rankvideo_rag.eval.report.runner import EXTRACTIVE, ask_archive
    from rankvideo_rag.formats.multivent import load_qrels

    if questions is None or qrels is None:
        raise InputError("asking an archive needs questions and relevance judgements: give --questions and --qrels")
    judged = load_qrels(qrels)
    for line in judged.notes:
        note(line)
    to_ask = read_questions(questions)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    total = len(to_ask.references)
    with VideoArchive.open(archive, **options) as opened, progress("asking", total, unit="questions") as advance:
        llm, subsets = load_llm(answering.llm, answering.llm_url, opened.settings), answering.evidence_subsets
        ask_archive(
            opened,
            to_ask,
            judged.qrels,
            output,
            synthesizer=opened.as_synthesizer(llm, frames=answering.frames, evidence_subsets=subsets),
            generator=answering.llm or answering.llm_url or EXTRACTIVE,
            stems=stems,
            progress=lambda _: advance(),
        )


def _judgements(output: Path, inputs: "ReportInputs", judges: _JudgeOptions, *, replay: bool) -> "JudgementCache":
    """Return the judgements of answers."""
    from rankvideo_rag.eval.answers.judgement_cache import JudgementCache, replay_judgements
    from rankvideo_rag.eval.report.folder import JUDGEMENTS

    file = output / JUDGEMENTS
    if replay:
        return replay_judgements(file, judge=judges.text, video_judge=judges.video)
    text = load_text_judge(judges.text, judges.text_model, judges.device)
    video = None
    if judges.video:
        answers = [answer for by_query in inputs.answers.values() for answer in by_query.values()]
        files = {name: path for answer in answers for name, path in answer.video_paths.items()}
        video = load_video_judge(judges.video, judges.video_model, files, judges.device, prompt="video-first")
    return JudgementCache(text, video, file=file)


def _undecided(found: "ArchiveReport") -> "Iterator[str]":
    for variant, counts in found.counts.items():
        for reason, count in counts.undecided_by_reason.items():
            yield f"{variant} reranking: judgements, of {counts.judgements}, that are neither yes nor no ({reason}): {count}"


def _print(found: "ArchiveReport", page: Path) -> None:
    from rankvideo_rag.eval.report.failure_analysis import FAILURE_STAGES
    from rankvideo_rag.eval.report.records import VARIANTS

    out.print(found.benefit.summary, markup=False)
    counts = [found.counts[variant] for variant in VARIANTS]
    rows = [[name.replace("_", " "), *(str(getattr(one, name)) for one in counts)] for name in ("right", "not_known")]
    rows += [[stage, *(str(one.failures.get(stage, 0)) for one in counts)] for stage in FAILURE_STAGES]
    title = "Answers, and the stage at which wrong ones were lost"
    out.print(make_table(("", "without", "with reranking"), rows, title=title))
    out.print(f"Report: {printable(str(page))}", soft_wrap=True)
