"""At which stage was a wrong answer lost? Each stage is looked at in turn, and the first that failed is named.

The *targets* of a question are the videos judged relevant (grade 1 or more) and those that its reference names; the spans of
its claims say where in them, and a target without spans is met anywhere. An answer is *right* when

    it answers; a citation of it meets a target: the middle of one lies in the other; all that it says in words is borne out by
    what it cites, in the judge's eyes; and it says at least part of one of the reference's claims (of the vital ones, where any
    are), or of its answer where it has no claims. A statement that rests on a picture says so by pointing there.

A question without targets is judged by the rest of that. One that the archive does not answer is answered rightly by saying so.
Where the judge has no verdict and nothing else is wrong, the answer is `not known`. A wrong answer was lost at the first of:

    not indexed               no target is in the archive, at least not the part of it in which a span lies
    not retrieved             none is among the videos that the reranker was given (those with a verdict of it)
    ranked too low            none is among the videos that the generator was given, with or without reranking
    demoted by the reranker   none is, while the generator would have been given one without reranking
    wrong window              of the targets the generator was given other parts than the spans; or it was given the right ones,
                              and cites a target at other times only
    unsupported claim         something that it says is not borne out by what it cites
    other                     all that is left; the reason says what

Without an answer, what the generator was given is not known, and without a list of what is indexed the first stage is passed
over. This file reads no files and knows no judges.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from rankvideo_rag.eval.answers.alce import citations_support
from rankvideo_rag.eval.answers.judge import AskJudge, Check
from rankvideo_rag.eval.answers.records import Case
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
    """What became of a question."""

    verdict: Literal["right", "wrong", "not known"]
    stage: FailureStage | None = None  # of a wrong answer
    reason: str | None = None


class IndexedVideo(NamedTuple):
    """What an archive has of a video."""

    clips: tuple[Moment, ...]  # none: it is not in the archive
    reason: str | None = None  # why not


class Trace(NamedTuple):
    """A question's targets on their way to its answer."""

    case: Case
    targets: Mapping[str, tuple[Moment, ...]]  # video -> spans in it; none: anywhere
    indexed: Mapping[str, IndexedVideo] | None  # of the targets; None: not known
    candidates: Collection[str]  # videos that the reranker was given
    first_shown: Collection[str]  # videos that the generator is given without reranking
    shown: tuple[Moment, ...]  # clips that the generator was given
    seen: frozenset[int] = frozenset()  # positions of statements that rest on pictures


class _Said(NamedTuple):
    """A statement in words."""

    text: str
    held: bool | None  # by what it cites


def classify(trail: Trace, ask: AskJudge, *, watch: bool = False) -> AnswerOutcome:
    """Whether an answer is right, and if not, where it was lost; with `watch` what it cites is watched too."""
    if not trail.case.reference.answerable:
        return _of_unanswerable(trail, ask, watch)
    borne_out = _borne_out(trail, ask, watch)
    says = _says(trail, ask)
    held = [said.held for said in borne_out]
    if not (trail.case.answer.answered and _points(trail)) or False in held or says is False:
        return next(_lost(trail, borne_out))
    if says is None or None in held:
        return AnswerOutcome(verdict=NOT_KNOWN, reason="the judge has no verdict on what it says")
    return AnswerOutcome(verdict=RIGHT)


def _of_unanswerable(trail: Trace, ask: AskJudge, watch: bool) -> AnswerOutcome:
    if not trail.case.answer.answered and not trail.case.absent:
        return AnswerOutcome(verdict=RIGHT)
    return next(_by_claims(trail, _borne_out(trail, ask, watch)))


def _lost(trail: Trace, borne_out: Sequence[_Said]) -> Iterator[AnswerOutcome]:
    """What failed, stage by stage; the last is always given."""
    if trail.targets:
        yield from _by_retrieval(trail)
        yield from _by_window(trail)
    yield from _by_claims(trail, borne_out)


def _by_retrieval(trail: Trace) -> Iterator[AnswerOutcome]:
    kept = None if trail.indexed is None else [trail.indexed.get(video, IndexedVideo(())) for video in trail.targets]
    if kept is not None and not _touched(trail, [clip for one in kept for clip in one.clips]):
        reasons = dict.fromkeys(one.reason for one in kept if one.reason)
        yield _wrong("not indexed", "; ".join(reasons) or "no clip holds the moment that is asked for")
    if not trail.targets.keys() & set(trail.candidates):
        among = f"not among the {len(trail.candidates)} videos that were to be reranked"
        yield _wrong("not retrieved", among if trail.candidates else "nothing was retrieved")
    given = {clip.video for clip in trail.shown}
    if given and not trail.targets.keys() & given:
        if trail.targets.keys() & set(trail.first_shown):
            yield _wrong("demoted by the reranker", "without reranking the generator is given it")
        yield _wrong("ranked too low", f"retrieved, but not among the {len(given)} videos that the generator was given")


def _by_window(trail: Trace) -> Iterator[AnswerOutcome]:
    if trail.shown and not _touched(trail, trail.shown):
        yield _wrong("wrong window", "the generator was given another part of the video")
    answer = trail.case.answer
    if answer.answered and not _points(trail) and any(one.video_id in trail.targets for one in answer.citations):
        yield _wrong("wrong window", "it cites the right video at another time")


def _by_claims(trail: Trace, borne_out: Sequence[_Said]) -> Iterator[AnswerOutcome]:
    unsupported = next((said.text for said in borne_out if said.held is False), None)
    if unsupported is not None:
        yield _wrong("unsupported claim", f"what it cites does not say so: {unsupported}")
    yield _wrong("other", _what_else(trail))


def _what_else(trail: Trace) -> str:
    if trail.case.absent:
        return "there is no answer"
    if not trail.case.reference.answerable:
        return "it answers what the archive does not answer"
    if not trail.case.answer.answered:
        return "it says that the archive does not answer, from the right clips"
    if not _points(trail):
        return "it cites none of the right videos, though it was given one"
    return "it says none of what is right, from the right place"


def _wrong(stage: FailureStage, reason: str) -> AnswerOutcome:
    return AnswerOutcome(verdict=WRONG, stage=stage, reason=reason)


def _points(trail: Trace) -> bool:
    """Whether a citation meets a target, or there is none to meet."""
    cited = [Moment(one.video_id, one.start, one.end) for one in trail.case.answer.citations]
    return not trail.targets or any(_meets(one, trail.targets[one.video]) for one in cited if one.video in trail.targets)


def _meets(cited: Moment, spans: tuple[Moment, ...]) -> bool:
    return not spans or any(hits(cited, span) or hits(span, cited) for span in spans)


def _touched(trail: Trace, clips: Collection[Moment]) -> bool:
    """Whether a clip shares some time with a span of a target, or is of one without spans."""
    return any(
        not spans or any(clip.start < span.end and span.start < clip.end for span in spans)
        for clip in clips
        if (spans := trail.targets.get(clip.video)) is not None
    )


def _borne_out(trail: Trace, ask: AskJudge, watch: bool) -> list[_Said]:
    answer = trail.case.answer
    return [
        _Said(
            said.text, bool(said.cited) and not said.dangling and citations_support(said.cited, said, answer, ask, watch=watch)
        )
        for place, said in enumerate(answer.statements)
        if place not in trail.seen
    ]


def _says(trail: Trace, ask: AskJudge) -> bool | None:
    """Whether the answer says at least part of what is right, or points at it."""
    reference, said = trail.case.reference, trail.case.answer.text
    if trail.seen or not (reference.claims or reference.answer):
        return True
    if not said:
        return False
    if not reference.claims:
        return ask(Check("passage", reference.answer or "", reference.question, said)).supported
    wanted = [claim for claim in reference.claims if claim.vital] or reference.claims
    labels = [ask(Check("nugget", claim.text, reference.question, said)).label for claim in wanted]
    return True if {"yes", "partial"} & set(labels) else None if None in labels else False
