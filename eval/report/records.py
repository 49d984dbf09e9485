"""What a report says, as records: report.json is one of them, the page draws it."""

from typing import Literal

from pydantic import Field

from rankvideo_rag.eval.calibration_error import CalibrationReport
from rankvideo_rag.eval.report.failure_analysis import AnswerOutcome, FailureStage
from rankvideo_rag.eval.reranking import RerankingBenefit
from rankvideo_rag.eval.retrieval import RetrievalReport
from rankvideo_rag.eval.variance import VarianceShares
from rankvideo_rag.schema import Record

Variant = Literal["without", "with"]
"""Answers made without reranking, and with it."""
VARIANTS: tuple[Variant, Variant] = ("without", "with")


class ReportMetadata(Record):
    """Where the numbers come from. All of it may be unknown."""

    title: str = ""
    models: dict[str, str] = Field(default_factory=dict)  # what it does -> its name and revision
    keep_order_below: float | None = None  # nats: where no margin reaches it, the first stage's order was kept
    notes: tuple[str, ...] = ()


class QuestionTimings(Record):
    """What one question took, models loaded; None where nobody timed it, or kept verdicts were used."""

    query_id: str
    retrieve: float | None = None
    rerank: float | None = None
    without: float | None = None  # the answer alone
    with_: float | None = None


class Estimate(Record):
    """A mean over questions with its interval; no interval where it is counted over all questions at once."""

    mean: float | None
    low: float | None = None  # bootstrap interval over questions
    high: float | None = None
    questions: int = 0
    reason: str | None = None


class AnswerMeasure(Record):
    """A measure of the answers, both ways; the difference is over the questions on which there are both."""

    name: str
    estimates: dict[Variant, Estimate]
    difference: Estimate
    p: float | None  # randomisation test, two-sided, not corrected for the number of measures


class AnswerCounts(Record):
    """What the measures of one side's answers rest on."""

    questions: int
    answerable: int
    absent: int  # questions without an answer
    verdicts: int
    undecided_verdicts: dict[str, int]  # reason -> verdicts that are neither yes nor no
    not_measured: dict[str, dict[str, int]]  # measure -> reason -> questions that are not in its mean
    seen: int  # statements that rest on pictures alone: no judge of words can bear them out
    quotes: int
    quotes_found: int  # in the words of the clips that the generator was given
    right: int
    not_known: int
    failures: dict[FailureStage, int]


class CurvePoint(Record):
    """What reranking fewer videos would have given."""

    watched: int  # videos a query
    mean: float  # of the first measure


class QuestionReport(Record):
    """One question."""

    query_id: str
    question: str
    answerable: bool
    gain: float | None  # of the first measure, by reranking; None where no judgements tell
    answers: dict[Variant, str | None]  # as shown; None where there is none
    outcomes: dict[Variant, AnswerOutcome]


class ArchiveReport(Record):
    """Everything that was measured."""

    version: str  # of this package
    about: ReportMetadata
    judges: tuple[str, ...]  # of the answers: name and version
    benefit: RerankingBenefit
    retrieval: RetrievalReport
    curve: tuple[CurvePoint, ...]
    seconds: dict[str, float | None]  # mean a query: retrieve, rerank, answer without and with
    calibration: CalibrationReport
    variance: VarianceShares
    measures: tuple[AnswerMeasure, ...]
    counts: dict[Variant, AnswerCounts]
    questions: tuple[QuestionReport, ...]
    notes: tuple[str, ...]
