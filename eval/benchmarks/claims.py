"""Check labelled claims against their evidence, as claims of a language model are checked, and count what was decided.

A line of the file has `id`, `category`, `question`, `evidence`, `claim` (which cites the evidence as [1]) and `supported`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.parsing import parse_claims
from rankvideo_rag.answering.verification import VerificationContext, VerifiedClaim, verify_claim
from rankvideo_rag.errors import InputError
from rankvideo_rag.models.nli import NliModel
from rankvideo_rag.schema import Record, TextSpan

Outcome = Literal["accepted", "unchecked", "contradicted", "dropped"]
_OUTCOMES: tuple[Outcome, ...] = ("dropped", "contradicted", "unchecked", "accepted")  # the worst first
_LETTERS_PER_SECOND = 15


class LabelledClaim(BaseModel):
    """A claim and whether somebody who read only the evidence, and the question, would have to agree with all of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    category: str
    question: str
    evidence: str
    claim: str
    supported: bool


class CheckedClaim(Record):
    """The outcome for one claim."""

    id: str
    category: str
    supported: bool
    outcome: Outcome
    reason: str | None
    claim: str


class ClaimCounts(Record):
    """Outcomes of a group of claims."""

    claims: int
    accepted: int
    unchecked: int
    contradicted: int
    dropped: int


class ClaimBenchmark(Record):
    """All outcomes, and the two error rates.

    `false_accept`: the share of unsupported claims that were accepted. `false_reject`: the share of supported claims that were
    contradicted or dropped. None without such claims.
    """

    supported: ClaimCounts
    not_supported: ClaimCounts
    categories: dict[str, ClaimCounts]
    false_accept: float | None
    false_reject: float | None
    claims: list[CheckedClaim]


def benchmark_claims(path: Path, nli: NliModel | None = None) -> ClaimBenchmark:
    """Check the claims of a file, with a natural language inference model or by rules alone. Raises InputError."""
    checked = [_check(claim, nli) for claim in read_labelled_claims(path)]
    supported = _count([one for one in checked if one.supported])
    not_supported = _count([one for one in checked if not one.supported])
    categories = dict.fromkeys(one.category for one in checked)
    rejected = supported.contradicted + supported.dropped
    return ClaimBenchmark(
        supported=supported,
        not_supported=not_supported,
        categories={name: _count([one for one in checked if one.category == name]) for name in categories},
        false_accept=not_supported.accepted / not_supported.claims if not_supported.claims else None,
        false_reject=rejected / supported.claims if supported.claims else None,
        claims=checked,
    )


def read_labelled_claims(path: Path) -> list[LabelledClaim]:
    """Read a JSONL file of claims. Raises InputError for a missing file and an invalid line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return list(_read_lines(path, lines))


def _read_lines(path: Path, lines: Sequence[str]) -> Iterator[LabelledClaim]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield LabelledClaim.model_validate(json.loads(line))
            except (ValueError, ValidationError) as error:
                raise InputError(f"{path}, line {number}: {error}") from error


def _check(labelled: LabelledClaim, nli: NliModel | None) -> CheckedClaim:
    evidence = [_evidence(labelled.evidence)]
    context = VerificationContext(labelled.question, evidence, evidence, nli=nli)
    results = [verify_claim(parsed, context) for parsed in parse_claims(labelled.claim)]
    outcome, reason = min(map(_outcome, results), key=lambda found: _OUTCOMES.index(found[0]), default=("dropped", None))
    fields = labelled.model_dump(include={"id", "category", "supported", "claim"})
    return CheckedClaim(**fields, outcome=outcome, reason=reason)


def _evidence(text: str) -> Evidence:
    duration = max(len(text) / _LETTERS_PER_SECOND, 1.0)
    span = TextSpan(channel="speech", text=text, start=0.0, end=duration, source="record")
    return Evidence(1, "record", "record", "", 0.0, duration, (span,))


def _outcome(result: VerifiedClaim) -> tuple[Outcome, str | None]:
    """Return what became of a claim as it was written; a quote that is shown instead does not count."""
    claim = result.removed or result.claim
    if claim is None or claim.status == "unsupported":
        return "dropped", claim.reason if claim else None
    if claim.status in ("contradicted", "unchecked"):
        return ("contradicted" if claim.status == "contradicted" else "unchecked"), claim.reason
    return "accepted", None


def _count(checked: Sequence[CheckedClaim]) -> ClaimCounts:
    outcomes = [one.outcome for one in checked]
    return ClaimCounts(claims=len(checked), **{name: outcomes.count(name) for name in _OUTCOMES})
