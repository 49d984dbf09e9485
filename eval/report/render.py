"""A report as one page of HTML that needs nothing else: no script, no file, no address. This file measures nothing.

Questions, answers, titles and reasons are foreign words: markup.py escapes them, and the page's own policy lets nothing load.
"""

from collections.abc import Iterator
from pathlib import Path

from rankvideo_rag.eval.report.failure_analysis import FAILURE_STAGES, NOT_KNOWN, WRONG, FailureStage
from rankvideo_rag.eval.report.folder import PAGE, REPORT
from rankvideo_rag.eval.report.glossary import meaning_of
from rankvideo_rag.eval.report.markup import Html, element, joined, table
from rankvideo_rag.eval.report.plots import calibration_picture, cost_picture, gain_picture
from rankvideo_rag.eval.report.records import VARIANTS, AnswerMeasure, ArchiveReport, Estimate, QuestionReport
from rankvideo_rag.eval.report.style import STYLE
from rankvideo_rag.eval.retrieval import MeasureEstimate, RunDifference, RunMeasures

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
MOST_LISTED = 300  # wrong answers on the page; report.json has all
_STAGES: dict[FailureStage, str] = {
    "not indexed": "no relevant video, or not the part that is asked for, is in the archive",
    "not retrieved": "no relevant video is among those that the reranker was given",
    "ranked too low": "none is among those that the generator was given, with or without reranking",
    "demoted by the reranker": "none is, while the generator would have been given one without reranking",
    "wrong window": "the right video at the wrong time, in what the generator was given or in what it cites",
    "unsupported claim": "something that the answer says is not borne out by what it cites",
    "other": "all that is left, such as to abstain from the right clips",
}
_STEPS = {"retrieve": "retrieving", "rerank": "reranking", "without": "answering, without", "with": "answering, with"}
_RULE = (
    "An answer is right when it points to a relevant video at the right time, what it cites bears out all that it says in "
    "words, and it says at least part of what the reference does; on a question that the archive does not answer, when it says "
    "so. A wrong answer is counted at the first stage that failed."
)


def write_report(report: ArchiveReport, folder: Path) -> Path:
    """Write report.json and report.html into a folder that is there; the page's path."""
    (folder / REPORT).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    # Bytes of a name that are no UTF-8 came as surrogates, which a page cannot hold.
    (folder / PAGE).write_text(render_html(report), encoding="utf-8", errors="backslashreplace")
    return folder / PAGE


def render_html(report: ArchiveReport) -> str:
    """The whole page."""
    title = f"Report on {report.about.title}" if report.about.title else "Report"
    policy = '<meta http-equiv="Content-Security-Policy" content="' + _POLICY + '">'
    head = joined(
        [
            Html('<meta charset="utf-8">' + policy + '<meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", title),
            element("style", Html(STYLE)),
        ]
    )
    body = element("main", element("h1", title), _subtitle(report), *_sections(report))
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>{body}</body>\n</html>\n'


def _subtitle(report: ArchiveReport) -> Html:
    models = "; ".join(f"{what}: {name}" for what, name in report.about.models.items())
    counts = f"{len(report.questions)} questions, {report.retrieval.queries} of them judged."
    return element("p", f"{counts} {models}", class_="quiet")


def _sections(report: ArchiveReport) -> Iterator[Html]:
    yield _verdict(report)
    pictures = [one for one in (gain_picture(report), cost_picture(report), calibration_picture(report)) if one]
    yield _section("Retrieval", _retrieval(report), element("div", *pictures, class_="pictures"))
    yield _section("Where wrong answers were lost", element("p", _RULE), _stages(report))
    yield _section("Answers", *_answers(report))
    if report.retrieval.slices:
        yield _section("Slices", _slices(report))
    yield _section("What it costs, and what the margins depend on", *_reranker(report))
    yield _section("Wrong answers, with reranking", *_wrong_answers(report))
    yield _section("What was counted and how", *_notes(report))


def _section(title: str, *content: Html) -> Html:
    return element("section", element("h2", title), *content)


def _verdict(report: ArchiveReport) -> Html:
    says, _, rest = report.benefit.summary.partition(". ")
    before, after = (report.counts[side] for side in VARIANTS)
    right = next(one for one in report.measures if one.name == "Right")
    answers = (
        f"Right answers: {after.right} of {after.questions} with reranking, {before.right} without{_of_difference(right)}."
    )
    if after.not_known or before.not_known:
        answers += f" Of others the judge says nothing: {after.not_known} with it, {before.not_known} without."
    kind = report.benefit.conclusion.rpartition(" ")[2]
    content = (element("p", f"{says}.", class_="verdict"), element("p", rest), element("p", answers))
    return element("section", element("h2", "Did reranking help?"), *content, class_=kind)


def _of_difference(one: AnswerMeasure) -> str:
    if one.difference.mean is None or one.p is None:
        return ""
    return f" ({one.difference.mean:+.3f} {_interval(one.difference, '+.3f')}, p = {one.p:.4f})"


def _retrieval(report: ArchiveReport) -> Html:
    without, with_ = report.retrieval.runs
    rows = [
        [one.measure, _figure(without, one.measure), _figure(with_, one.measure), *_difference(one)]
        for one in report.retrieval.differences
    ]
    header = ["", "without", "with reranking", "difference", "p", "better", "worse", "equal"]
    return joined([table(header, rows), _quiet(_about_intervals(report)), *_ties(report)])


def _about_intervals(report: ArchiveReport) -> str:
    return (
        f"In brackets: {report.retrieval.confidence:.0%} intervals by bootstrap over questions; p by paired randomisation, "
        f"two-sided. Every judged query counts, 0 where nothing was found."
    )


def _ties(report: ArchiveReport) -> Iterator[Html]:
    for run in report.retrieval.runs:
        for name, one in run.measures.items():
            if one.worst is not None and one.best is not None and one.worst < one.best:
                yield _quiet(f"{run.name}: the order of equal scores moves {name} between {one.worst:.3f} and {one.best:.3f}.")


def _figure(run: RunMeasures, name: str) -> Html:
    return _with_interval(run.measures[name], ".3f")


def _difference(one: RunDifference) -> list[str]:
    return [_with_interval(one, "+.3f"), f"{one.p:.4f}", *(str(count) for count in (one.better, one.worse, one.equal))]


def _stages(report: ArchiveReport) -> Html:
    most = max([1, *(count for side in VARIANTS for count in report.counts[side].failures.values())])
    rows: list[list[str]] = [
        [_stage(stage), *(_bar(report.counts[side].failures.get(stage, 0), most) for side in VARIANTS)]
        for stage in FAILURE_STAGES
    ]
    totals = {"right": "right", "not_known": "not known: the judge has no verdict"}
    rows += [[words, *(str(getattr(report.counts[side], name)) for side in VARIANTS)] for name, words in totals.items()]
    return table(["stage", "without", "with reranking"], rows)


def _stage(stage: FailureStage) -> Html:
    return joined([element("b", stage), ": ", _STAGES[stage]])


def _bar(count: int, most: int) -> Html:
    bar = element("span", class_="bar", style=f"width: {6 * count / most:.2f}rem") if count else Html("")
    return joined([bar, str(count)])


def _answers(report: ArchiveReport) -> Iterator[Html]:
    for side in VARIANTS:
        one = report.counts[side]
        nones = "; ".join(f"{count}: {reason}" for reason, count in one.undecided_verdicts.items()) or "none"
        yield _quiet(
            f"{side.capitalize()} reranking: {one.questions} questions, {one.answerable} of them answerable, {one.absent} "
            f"without an answer. {one.verdicts} verdicts; neither yes nor no: {nones}. Quotes that stand in the words of the "
            f"clips given: {one.quotes_found} of {one.quotes}. Statements that rest on a picture, which no judge of words can "
            f"bear out: {one.seen}."
        )
    measured = [one for one in report.measures if any(one.estimates[side].mean is not None for side in VARIANTS)]
    rows = [
        [
            joined([element("b", one.name), " ", element("span", meaning_of(one.name), class_="quiet")]),
            *(_estimate(one.estimates[side], ".3f") for side in VARIANTS),
            _estimate(one.difference, "+.3f"),
            "-" if one.p is None else f"{one.p:.4f}",
            ", ".join(str(of.questions) for of in (*(one.estimates[side] for side in VARIANTS), one.difference)),
        ]
        for one in measured
    ]
    yield table(["", "without", "with reranking", "difference", "p", "questions"], rows)
    yield _quiet(
        "Questions on which there is a number without, with, and both ways: the difference is over the last, and p is not "
        "corrected for the many measures."
    )
    rest = [one for one in report.measures if one not in measured]
    if rest:
        items = [element("li", f"{one.name}: {one.estimates['with'].reason}") for one in rest]
        yield element("details", element("summary", f"{len(rest)} measures without a number"), element("ul", *items))


def _slices(report: ArchiveReport) -> Html:
    runs, main = [run.name for run in report.retrieval.runs], report.benefit.measure
    rows = []
    for one in report.retrieval.slices:
        before, after = (one.means[run][main] for run in runs)
        rows.append([one.facet, one.label, str(one.queries), f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}"])
    return table(["", "", "queries", f"{main} without", "with reranking", "difference"], rows, words=2)


def _reranker(report: ArchiveReport) -> Iterator[Html]:
    rows = [[words, _seconds(report.seconds[step])] for step, words in _STEPS.items()]
    yield table(["step", "seconds a question"], rows)
    found = report.variance
    if found.query is None or found.video is None or found.additive is None:
        yield _quiet(f"Variance of the margins: {found.reason}.")
    else:
        yield element(
            "p",
            f"Of the margins' variance over {found.pairs} pairs the question alone tells {found.query:.3f} (by chance "
            f"{found.query_by_chance:.3f}), the video alone {found.video:.3f} (by chance {found.video_by_chance:.3f}), both "
            f"added up {found.additive:.3f}. A great share of the video means that it scores the video, not the pair.",
        )
    if report.calibration.error is None:
        yield _quiet(f"Calibration: {report.calibration.reason}.")


def _seconds(seconds: float | None) -> str:
    return "not timed" if seconds is None else f"{seconds:.3g}"


def _wrong_answers(report: ArchiveReport) -> Iterator[Html]:
    wrong = [one for one in report.questions if one.outcomes["with"].verdict == WRONG]
    unknown = sum(one.outcomes["with"].verdict == NOT_KNOWN for one in report.questions)
    listed = sorted(wrong, key=lambda one: FAILURE_STAGES.index(one.outcomes["with"].stage or "other"))[:MOST_LISTED]
    yield element(
        "p", f"{len(wrong)} of {len(report.questions)} answers are wrong" + (f", {unknown} not known." if unknown else ".")
    )
    for stage in FAILURE_STAGES:
        of_stage = [one for one in listed if one.outcomes["with"].stage == stage]
        if of_stage:
            rows = [_wrong_answer(one) for one in of_stage]
            inside = table(["query", "question", "answer", "why", "without reranking"], rows, words=5)
            yield element("details", element("summary", f"{stage} ({len(of_stage)})"), inside, open="")
    if len(listed) < len(wrong):
        yield _quiet(f"{len(wrong) - len(listed)} more are in report.json.")


def _wrong_answer(one: QuestionReport) -> list[str]:
    other = one.outcomes["without"]
    return [
        one.query_id,
        one.question,
        one.answers["with"] or "(no answer)",
        one.outcomes["with"].reason or "",
        other.stage or other.verdict,
    ]


def _notes(report: ArchiveReport) -> Iterator[Html]:
    yield element("ul", *(element("li", note) for note in report.notes))
    facts = {**report.about.models, "judge of answers": ", ".join(report.judges), "rankvideo-rag": report.version}
    yield element("dl", *(joined([element("dt", name), element("dd", value)]) for name, value in facts.items()))


def _estimate(one: Estimate, form: str) -> Html:
    return joined(["-"]) if one.mean is None else _with_interval(one, form)


def _with_interval(one: MeasureEstimate | RunDifference | Estimate, form: str) -> Html:
    mean = "-" if one.mean is None else format(one.mean, form)
    return joined([mean, " ", element("span", _interval(one, form), class_="interval")])


def _interval(one: MeasureEstimate | RunDifference | Estimate, form: str) -> str:
    return "" if one.low is None or one.high is None else f"[{one.low:{form}}, {one.high:{form}}]"


def _quiet(words: str) -> Html:
    return element("p", words, class_="quiet")
