"""Find the stage at which a wrong answer failed: stages are checked in order, and the first that failed is named.

The *targets* of a question are the videos judged relevant (grade 1 or more) and those that its reference names. The spans of
its claims say where in them; a target without spans is matched anywhere. An answer is *right* when

    it does not abstain; one of its citations matches a target: the middle of one lies in the other; its citations support all
    that it states in words, according to the judge; and it makes at least part of one of the reference's claims (of the vital
    ones, where there are any), or of the reference's answer where it has no claims. A statement about a picture makes its
    claim by citing it.

For a question without targets, the rest of this decides. If the archive does not answer the question, abstaining is right.
Where the judge is undecided and nothing else is wrong, the outcome is `not known`. A wrong answer failed at the first of:

    not indexed               no target is in the archive, or not the part of it with a span
    not retrieved             none is among the candidates of the reranker (videos with a score)
    ranked too low            none is among the videos given to the generator, with or without reranking
    demoted by the reranker   none is, while the generator would have been given one without reranking
    wrong window              the generator was given other parts of the targets than the spans; or it was given the right ones
                              and cites a target at other times only
    unsupported claim         the answer states something that its citations do not support
    other                     everything else; the reason says what

Without an answer it is not known what the generator was given, and without a list of what is indexed the first stage is
skipped.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, get_args

from rankvideo_rag.eval.answers.alce import citations_support
from rankvideo_rag.eval.answers.judge import AskJudge, Check
from rankvideo_rag.eval.answers.records import Case, Reference
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.answers.temporal import hits
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.schema import Record

FailureStage = Literal[
    "not indexed",
    "not retrieved",
    "ranked too low",
    "demoted by the reranker",
    "wrong window",
    "unsupported claim",
    "other",
]
FAILURE_STAGES: tuple[FailureStage, ...] = get_args(FailureStage)
RIGHT: Final = "right"
WRONG: Final = "wrong"
NOT_KNOWN: Final = "not known"


class AnswerOutcome(Record):
    """Whether an answer is right, and if not, where it failed."""

    status: Literal["right", "wrong", "not known"]
    stage: FailureStage | None = None  # of a wrong answer
    reason: str | None = None


class IndexedVideo(Record):
    """What an archive has of a video."""

    video: str
    clips: tuple[tuple[float, float], ...]  # seconds; none: the video is not in the archive
    reason: str | None = None  # why not


class Trace(NamedTuple):
    """What each stage did with a question's targets."""

    case: Case
    targets: Mapping[str, tuple[Moment, ...]]  # video -> spans in it; none: anywhere
    indexed: Mapping[str, IndexedVideo] | None  # of the targets; None: not known
    candidates: Collection[str]  # videos that the reranker scored
    baseline_videos: Collection[str]  # videos that the generator is given without reranking


def classify(trace: Trace, ask: AskJudge) -> AnswerOutcome:
    """Return whether an answer is right, and if not, where it failed. With a video judge, cited spans are checked as well."""
    case = trace.case
    if not case.reference.answerable and not case.answer.answered and not case.absent:
        return AnswerOutcome(status=RIGHT)
    support = _check_statements(case, ask)
    if not case.reference.answerable:
        return next(_claim_failures(trace, support))
    states_claim = _states_claim(case, ask)
    conditions = (case.answer.answered and _cites_target(trace), states_claim, *support.values())
    if False in conditions:
        return next(_failures(trace, support))
    if None in conditions:
        return AnswerOutcome(status=NOT_KNOWN, reason="the judge is undecided")
    return AnswerOutcome(status=RIGHT)


def _check_statements(case: Case, ask: AskJudge) -> dict[Statement, bool | None]:
    """Return whether its citations support each statement, without those about pictures."""
    return {
        one: bool(one.cited) and not one.dangling and citations_support(one, case.answer, ask, one.cited)
        for one in case.answer.statements
        if not one.visual
    }


def _failures(trace: Trace, support: Mapping[Statement, bool | None]) -> Iterator[AnswerOutcome]:
    """Yield what failed, stage by stage; at least one."""
    if trace.targets:
        yield from _retrieval_failures(trace)
        yield from _window_failures(trace)
    yield from _claim_failures(trace, support)


def _retrieval_failures(trace: Trace) -> Iterator[AnswerOutcome]:
    if trace.indexed is not None:
        yield from _index_failures(trace, trace.indexed)
    targets = trace.targets.keys()
    if targets.isdisjoint(trace.candidates):
        found = f"not among the {len(trace.candidates)} candidates of the reranker"
        yield _wrong("not retrieved", found if trace.candidates else "nothing was retrieved")
    given = {clip.video for clip in trace.case.answer.clips}
    if given and targets.isdisjoint(given):
        if not targets.isdisjoint(trace.baseline_videos):
            yield _wrong("demoted by the reranker", "without reranking the generator is given it")
        yield _wrong("ranked too low", f"retrieved, but not among the {len(given)} videos that the generator was given")


def _index_failures(trace: Trace, videos: Mapping[str, IndexedVideo]) -> Iterator[AnswerOutcome]:
    indexed = [videos[video] for video in trace.targets if video in videos]
    if not _overlap_target(trace, [Moment(one.video, *span) for one in indexed for span in one.clips]):
        reasons = dict.fromkeys(one.reason for one in indexed if one.reason)
        yield _wrong("not indexed", "; ".join(reasons) or "no clip covers the relevant time")


def _window_failures(trace: Trace) -> Iterator[AnswerOutcome]:
    answer = trace.case.answer
    if answer.clips and not _overlap_target(trace, answer.clips):
        yield _wrong("wrong window", "the generator was given another part of the video")
    if answer.answered and not _cites_target(trace) and any(one.video_id in trace.targets for one in answer.citations):
        yield _wrong("wrong window", "the answer cites the right video at another time")


def _claim_failures(trace: Trace, support: Mapping[Statement, bool | None]) -> Iterator[AnswerOutcome]:
    unsupported = next((one.text for one, supported in support.items() if supported is False), None)
    if unsupported is not None:
        yield _wrong("unsupported claim", f"its citations do not support: {unsupported}")
    yield _wrong("other", _other_reason(trace))


def _other_reason(trace: Trace) -> str:
    if trace.case.absent:
        return "there is no answer"
    if not trace.case.reference.answerable:
        return "the archive does not answer this question, but the answer does not say so"
    if not trace.case.answer.answered:
        return "it abstains although the generator was given the right clips"
    if not _cites_target(trace):
        return "it cites none of the right videos, although the generator was given one"
    return "it cites the right place, but makes none of the reference's claims"


def _wrong(stage: FailureStage, reason: str) -> AnswerOutcome:
    return AnswerOutcome(status=WRONG, stage=stage, reason=reason)


def _cites_target(trace: Trace) -> bool:
    """Whether a citation matches a target, or there is none to match."""
    cited = [one.moment for one in trace.case.answer.citations if one.video_id in trace.targets]
    return not trace.targets or any(_matches(one, trace.targets[one.video]) for one in cited)


def _matches(cited: Moment, spans: tuple[Moment, ...]) -> bool:
    return not spans or any(hits(cited, span) or hits(span, cited) for span in spans)


def _overlap_target(trace: Trace, clips: Iterable[Moment]) -> bool:
    """Whether a clip overlaps a span of a target, or belongs to a target without spans."""
    return any(
        not spans or any(clip.start < span.end and span.start < clip.end for span in spans)
        for clip in clips
        if (spans := trace.targets.get(clip.video)) is not None
    )


def _states_claim(case: Case, ask: AskJudge) -> bool | None:
    """Whether the answer makes at least part of a claim of the reference, or cites a picture of it."""
    reference, text = case.reference, case.answer.text
    if any(one.visual for one in case.answer.statements) or not (reference.claims or reference.answer):
        return True
    if not text:
        return False
    if reference.claims:
        return _makes_part_of_a_claim(reference, text, ask)
    return ask(Check("passage", reference.answer or "", reference.question, text)).supported


def _makes_part_of_a_claim(reference: Reference, text: str, ask: AskJudge) -> bool | None:
    claims = [claim for claim in reference.claims if claim.vital] or reference.claims
    labels = {ask(Check("nugget", claim.text, reference.question, text)).label for claim in claims}
    return True if labels & {"yes", "partial"} else None if None in labels else False
