"""MiRAGE (arXiv 2510.24870): an answer's claims and citations against a reference and against the videos.

    InfoP   share of the answer's claims that the reference supports
    InfoR   share of the reference's claims that the answer supports
    CiteP   share of the answer's claims that are supported by the reference's claims about the videos they cite
    CiteR   share of the reference's claims that are supported by the sentences citing one of its videos, video by video
    F1      harmonic means of the two

Against the collection, precision checks the videos instead of the reference: InfoP any relevant video, CiteP any cited one. A
claim without citations is not supported by what it cites. Of the reference, only claims that some video supports are counted.
mirage_original.py counts as the published code does.
"""

from collections.abc import Sequence

from rankvideo_rag.eval.answers.judge import AskJudge, Check, any_supported
from rankvideo_rag.eval.answers.records import Case, Reference, ReferenceClaim, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.answers.values import MeasureValue, share, with_f1

CLAIMS, REFERENCE_CLAIMS = "claims in the answer", "claims in the reference that a video supports"


def mirage_scores(case: Case, ask: AskJudge) -> dict[str, MeasureValue]:
    """Return the six scores of an answer; with a video judge also those against the collection, with the same recall."""
    reference, answer, _ = case
    claims = shown_claims(reference)
    info_recall = share([is_in_answer(claim, case, ask) for claim in claims], of=REFERENCE_CLAIMS)
    cite_recall = share([is_attributed(claim, case, ask, reference.text) for claim in claims], of=REFERENCE_CLAIMS)
    info = share([is_in_reference(statement, case, ask) for statement in answer.statements], of=CLAIMS)
    cite = _if_relevant_known(reference, [_in_cited_claims(statement, case, ask) for statement in answer.statements])
    scores = with_f1("Info", info, info_recall) | with_f1("Cite", cite, cite_recall)
    if ask.has_video_judge:
        info_seen = [is_shown_in(reference.videos, statement.text, answer, ask) for statement in answer.statements]
        cite_seen = [is_shown_in(answer.videos(statement), statement.text, answer, ask) for statement in answer.statements]
        scores |= with_f1("Info", _if_relevant_known(reference, info_seen), info_recall, "(collection)")
        scores |= with_f1("Cite", share(cite_seen, of=CLAIMS), cite_recall, "(collection)")
    return scores


def shown_claims(reference: Reference) -> list[ReferenceClaim]:
    """Return the claims that some video supports."""
    return [claim for claim in reference.claims if claim.supporting_videos]


def list_claims(videos: Sequence[str], reference: Reference) -> str:
    """Return the reference's claims about each video, as the published code writes them.

    That is "Claims from v1: c1. c2. Claims from v2: c3."
    """
    return " ".join(f"Claims from {video}: {'. '.join(_claims_about(video, reference))}." for video in videos)


def is_in_answer(claim: ReferenceClaim, case: Case, ask: AskJudge) -> bool | None:
    """Return whether the answer supports a claim of the reference. An empty answer does not; the judge is not asked."""
    if not case.answer.text:
        return False
    return ask(Check("passage", claim.text, case.reference.text, case.answer.text)).supported


def is_in_reference(statement: Statement, case: Case, ask: AskJudge) -> bool | None:
    """Return whether the reference supports a claim of the answer."""
    return ask(Check("passage", statement.text, case.answer.text, case.reference.text)).supported


def is_attributed(claim: ReferenceClaim, case: Case, ask: AskJudge, context: str) -> bool | None:
    """Return whether the sentences that cite one of a claim's videos support it."""
    cited = (
        " ".join(statement.text for statement in case.answer.statements if video in case.answer.videos(statement))
        for video in claim.supporting_videos
    )
    return any_supported((Check("claims", claim.text, context, passage) for passage in cited if passage), ask)


def is_shown_in(videos: Sequence[str], claim: str, answer: SystemAnswer, ask: AskJudge) -> bool | None:
    """Return whether any of these videos supports a claim of the answer."""
    return any_supported((Check("video", claim, answer.text, video_id=video) for video in videos), ask)


def _if_relevant_known(reference: Reference, supported: Sequence[bool | None]) -> MeasureValue:
    """Return a precision that needs to know which videos are relevant: None where the reference names none."""
    return share(supported, of=CLAIMS) if reference.videos else MeasureValue(None, f"no {REFERENCE_CLAIMS}")


def _in_cited_claims(statement: Statement, case: Case, ask: AskJudge) -> bool | None:
    known = [video for video in case.answer.videos(statement) if _claims_about(video, case.reference)]
    if not known:
        return False
    return ask(Check("claims", statement.text, case.answer.text, list_claims(known, case.reference))).supported


def _claims_about(video: str, reference: Reference) -> list[str]:
    return [claim.text for claim in reference.claims if video in claim.supporting_videos]
