"""Records of a report. report.json is an ArchiveReport."""

from typing import Literal

from pydantic import Field

from rankvideo_rag.eval.answers.evaluate import EvaluationCounts
from rankvideo_rag.eval.calibration_error import CalibrationReport
from rankvideo_rag.eval.report.failure_analysis import AnswerOutcome, FailureStage
from rankvideo_rag.eval.reranking import RerankingBenefit
from rankvideo_rag.eval.retrieval import RetrievalReport
from rankvideo_rag.eval.variance import VarianceShares
from rankvideo_rag.schema import Record

Variant = Literal["without", "with"]
"""Without reranking, or with it."""
VARIANTS: tuple[Variant, Variant] = ("without", "with")


class ReportMetadata(Record):
    """Where the results come from. All of it may be unknown."""

    title: str = ""
    models: dict[str, str] = Field(default_factory=dict)  # role -> name and revision
    notes: tuple[str, ...] = ()


class QuestionTimings(Record):
    """Seconds that each step took for one question, with models loaded; None where it was not timed or scores were cached."""

    query_id: str
    retrieve: float | None = None
    rerank: float | None = None
    answer_without: float | None = None  # without reranking, the answer alone
    answer_with: float | None = None


class Estimate(Record):
    """A mean over questions with its interval; without an interval where it is computed over all questions at once."""

    mean: float | None
    low: float | None = None  # bootstrap interval over questions
    high: float | None = None
    questions: int = 0
    reason: str | None = None


class AnswerMeasure(Record):
    """A measure of the answers of both variants. The difference is over the questions with both values."""

    name: str
    estimates: dict[Variant, Estimate]
    difference: Estimate
    p: float | None  # permutation test, two-sided, not corrected for the number of measures

    @property
    def is_measured(self) -> bool:
        """Whether a variant has a value."""
        return any(estimate.mean is not None for estimate in self.estimates.values())


class AnswerCounts(EvaluationCounts):
    """What the measures of one variant's answers rest on."""

    visual_statements: int  # supported by pictures alone, which a text judge cannot check
    quotes: int
    verified_quotes: int  # found in the text of the clips that the generator was given
    right: int
    not_known: int
    failures: dict[FailureStage, int]


class CurvePoint(Record):
    """What reranking fewer videos would have given."""

    videos: int  # scored by the reranker, per query
    mean: float  # of the first measure


class QuestionReport(Record):
    """Results of one question."""

    query_id: str
    question: str
    answerable: bool
    gain: float | None  # of the first measure, by reranking; None without relevance judgements
    answers: dict[Variant, str | None]  # as displayed; None where there is none
    outcomes: dict[Variant, AnswerOutcome]


class ArchiveReport(Record):
    """All results."""

    version: str  # of this package
    metadata: ReportMetadata
    judges: tuple[str, ...]  # of the answers: name and version
    benefit: RerankingBenefit
    retrieval: RetrievalReport
    curve: tuple[CurvePoint, ...]
    seconds: dict[str, float | None]  # step -> mean per query
    calibration: CalibrationReport
    variance: VarianceShares
    measures: tuple[AnswerMeasure, ...]
    counts: dict[Variant, AnswerCounts]
    questions: tuple[QuestionReport, ...]
    notes: tuple[str, ...]
