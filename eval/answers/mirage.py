"""MiRAGE (arXiv 2510.24870): what an answer says and what it cites, against a reference and against the videos.

    InfoP   share of the answer's claims that the reference bears out
    InfoR   share of the reference's claims that the answer bears out
    CiteP   share of the answer's claims that are borne out by the reference's claims of the videos that they cite
    CiteR   share of the reference's claims that are borne out by the sentences that cite one of its videos, video by video
    F1      harmonic means of the two

Against the collection, precision asks the videos instead of the reference: InfoP any relevant one, CiteP any cited one. A claim
that cites nothing is not borne out by what it cites. Of the reference, claims that some video supports are counted.
How the published code counts is in mirage_original.py.
"""

from collections.abc import Sequence

from rankvideo_rag.eval.answers.judge import AskJudge, Check, any_supported
from rankvideo_rag.eval.answers.records import Case, Reference, ReferenceClaim, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.answers.values import MeasureValue, f1, share

CLAIMS, REFERENCE_CLAIMS = "claims in the answer", "claims in the reference that a video supports"


def mirage_scores(case: Case, ask: AskJudge, *, watch: bool = False) -> dict[str, MeasureValue]:
    """The six numbers of an answer; with `watch` also those against the collection, whose recall is the same."""
    reference, answer, _ = case
    info_recall = share([informs(claim, case, ask) for claim in supported(reference)], of=REFERENCE_CLAIMS)
    cite_recall = share([_attributed(claim, case, ask) for claim in supported(reference)], of=REFERENCE_CLAIMS)
    info = share([_in_reference(said, case, ask) for said in answer.statements], of=CLAIMS)
    cite = _against(reference, [_by_its_citations(said, case, ask) for said in answer.statements])
    found = _six(info, info_recall, cite, cite_recall, "")
    if watch:
        info = _against(reference, [seen_in(reference.videos, said.text, answer, ask) for said in answer.statements])
        cite = share([seen_in(answer.videos(said), said.text, answer, ask) for said in answer.statements], of=CLAIMS)
        found |= _six(info, info_recall, cite, cite_recall, "(collection)")
    return found


def supported(reference: Reference) -> list[ReferenceClaim]:
    """The claims that some video supports."""
    return [claim for claim in reference.claims if claim.supporting_videos]


def informs(claim: ReferenceClaim, case: Case, ask: AskJudge) -> bool | None:
    """Whether the answer bears out a claim of the reference. An answer that says nothing bears out nothing; nobody is asked."""
    if not case.answer.text:
        return False
    return ask(Check("passage", claim.text, case.reference.text, case.answer.text)).supported


def seen_in(videos: Sequence[str], claim: str, answer: SystemAnswer, ask: AskJudge) -> bool | None:
    """Whether any of these videos bears out a claim of the answer."""
    return any_supported((Check("video", claim, answer.text, video_id=video) for video in videos), ask)


def listed_claims(videos: Sequence[str], reference: Reference) -> str:
    """What the reference says of each video, as the published code writes it: "Claims from v1: c1. c2. Claims from v2: c3."."""
    return " ".join(f"Claims from {video}: {'. '.join(_claims_of(video, reference))}." for video in videos)


def citing(video: str, answer: SystemAnswer) -> str:
    """The statements that cite a video, joined."""
    return " ".join(said.text for said in answer.statements if video in answer.videos(said))


def _against(reference: Reference, borne_out: Sequence[bool | None]) -> MeasureValue:
    """A precision that needs to know which videos are relevant: of these the reference must name some."""
    return share(borne_out, of=CLAIMS) if reference.videos else MeasureValue(None, f"no {REFERENCE_CLAIMS}")


def _in_reference(said: Statement, case: Case, ask: AskJudge) -> bool | None:
    return ask(Check("passage", said.text, case.answer.text, case.reference.text)).supported


def _by_its_citations(said: Statement, case: Case, ask: AskJudge) -> bool | None:
    known = [video for video in case.answer.videos(said) if _claims_of(video, case.reference)]
    if not known:
        return False
    return ask(Check("claims", said.text, case.answer.text, listed_claims(known, case.reference))).supported


def _attributed(claim: ReferenceClaim, case: Case, ask: AskJudge) -> bool | None:
    passages = (citing(video, case.answer) for video in claim.supporting_videos)
    return any_supported((Check("claims", claim.text, case.reference.text, passage) for passage in passages if passage), ask)


def _claims_of(video: str, reference: Reference) -> list[str]:
    return [claim.text for claim in reference.claims if video in claim.supporting_videos]


def _six(
    info: MeasureValue, info_recall: MeasureValue, cite: MeasureValue, cite_recall: MeasureValue, mode: str
) -> dict[str, MeasureValue]:
    return {
        f"InfoP{mode}": info,
        f"InfoR{mode}": info_recall,
        f"InfoF1{mode}": f1(info, info_recall),
        f"CiteP{mode}": cite,
        f"CiteR{mode}": cite_recall,
        f"CiteF1{mode}": f1(cite, cite_recall),
    }
