"""MiRAGE as its published code counts (github alexmartin1722/mirage, e5c7b53), to reproduce printed numbers.

It departs from its definition (mirage.py) in these points:

1. CiteP checks each claim against the claims of all videos cited anywhere in the answer, not of those that it cites.
2. CiteP against the collection adds, over the cited videos, the *shares* of the claims citing a video that it supports, and
   divides by the number of claims.
3. Claims with the same text become one in CiteP, their citations joined; against the collection, InfoP counts a repetition as
   not supported.
4. "yes" anywhere in a judge's reply is a yes; everything else is a no, also a video that cannot be decoded.
5. An answer without claims has a precision of 0, a reference without claims a recall of 0.
6. A question without an answer is left out.
7. For CiteR, the judge is given the answer instead of the reference as the context of a reference's claim.

For a judge that generates no reply, its label is used.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.eval.answers.judge import PENDING, AskJudge, Check, Judgement
from rankvideo_rag.eval.answers.mirage import (
    is_attributed,
    is_in_answer,
    is_in_reference,
    is_shown_in,
    list_claims,
    shown_claims,
)
from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue, with_f1

SUFFIX = "(original)"


class _YesAnywhere(NamedTuple):
    """Reads a judge's replies as the published code does."""

    ask: AskJudge
    has_video_judge: bool

    def __call__(self, check: Check) -> Judgement:
        judgement = self.ask(check)
        return judgement if judgement is PENDING else Judgement("yes" if says_yes(judgement) else "no")


def original_mirage_scores(case: Case, ask: AskJudge) -> dict[str, MeasureValue]:
    """Return the six scores as the published code prints them; none for a question without an answer."""
    if case.absent:
        return {}
    ask = _YesAnywhere(ask, ask.has_video_judge)
    claims, statements, context = shown_claims(case.reference), case.answer.statements, case.answer.text
    info_recall = _share([is_in_answer(claim, case, ask) for claim in claims])
    cite_recall = _share([is_attributed(claim, case, ask, context) for claim in claims])
    info = _share([is_in_reference(statement, case, ask) for statement in statements])
    scores = with_f1("Info", info, info_recall, SUFFIX) | with_f1("Cite", _cite_precision(case, ask), cite_recall, SUFFIX)
    if ask.has_video_judge:
        collection = f"(collection){SUFFIX}"
        scores |= with_f1("Info", _info_precision_seen(case, ask), info_recall, collection)
        scores |= with_f1("Cite", _cite_precision_seen(case, ask), cite_recall, collection)
    return scores


def says_yes(judgement: Judgement) -> bool:
    """Read a reply as the published code does."""
    return "yes" in judgement.reply.lower() if judgement.reply is not None else bool(judgement.supported)


def _cite_precision(case: Case, ask: AskJudge) -> MeasureValue:
    claims = _merged_claims(case)
    passage = list_claims(list(dict.fromkeys(video for videos in claims.values() for video in videos)), case.reference)
    return _share([bool(passage) and ask(Check("claims", one, case.answer.text, passage)).supported for one in claims])


def _info_precision_seen(case: Case, ask: AskJudge) -> MeasureValue:
    texts = [statement.text for statement in case.answer.statements]
    seen = {text for text in texts if is_shown_in(case.reference.videos, text, case.answer, ask)}
    return MeasureValue(len(seen) / len(texts) if texts else 0.0)


def _cite_precision_seen(case: Case, ask: AskJudge) -> MeasureValue:
    claims = _merged_claims(case)
    total = 0.0
    for video in dict.fromkeys(video for videos in claims.values() for video in videos):
        cited = [is_shown_in([video], claim, case.answer, ask) for claim, videos in claims.items() if video in videos]
        total += _share(cited).value or 0.0
    return MeasureValue(total / len(claims) if claims else 0.0)


def _merged_claims(case: Case) -> dict[str, list[str]]:
    """Return claim -> videos that it cites, equal claims as one."""
    found: dict[str, list[str]] = {}
    for statement in case.answer.statements:
        videos = found.setdefault(statement.text, [])
        videos += [video for video in case.answer.videos(statement) if video not in videos]
    return found


def _share(parts: Sequence[bool | None]) -> MeasureValue:
    return MeasureValue(sum(map(bool, parts)) / len(parts) if parts else 0.0)
