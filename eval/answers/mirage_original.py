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

from collections.abc import Iterable, Sequence

from rankvideo_rag.eval.answers.judge import PENDING, AskJudge, Check, Verdict
from rankvideo_rag.eval.answers.mirage import list_claims, sentences_citing, shown_claims
from rankvideo_rag.eval.answers.records import Case, ReferenceClaim
from rankvideo_rag.eval.answers.values import MeasureValue, with_f1

SUFFIX = "(original)"


def original_mirage_scores(case: Case, ask: AskJudge) -> dict[str, MeasureValue]:
    """Return the six scores as the published code prints them; none for a question without an answer."""
    if case.absent:
        return {}
    recalls = MeasureValue(_info_recall(case, ask)), MeasureValue(_cite_recall(case, ask))
    precisions = [(SUFFIX, _info_precision(case, ask), _cite_precision(case, ask))]
    if ask.has_video_judge:
        precisions.append((f"(collection){SUFFIX}", _info_precision_seen(case, ask), _cite_precision_seen(case, ask)))
    scores: dict[str, MeasureValue] = {}
    for suffix, info, cite in precisions:
        scores |= with_f1("Info", MeasureValue(info), recalls[0], suffix)
        scores |= with_f1("Cite", MeasureValue(cite), recalls[1], suffix)
    return scores


def says_yes(verdict: Verdict) -> bool:
    """Read a reply as the published code does."""
    return "yes" in verdict.reply.lower() if verdict.reply is not None else bool(verdict.supported)


def _info_precision(case: Case, ask: AskJudge) -> float:
    answer, article = case.answer, case.reference.text
    return _share([says_yes(ask(Check("passage", one.text, answer.text, article))) for one in answer.statements])


def _info_recall(case: Case, ask: AskJudge) -> float:
    article, text = case.reference.text, case.answer.text
    checks = [Check("passage", claim.text, article, text) for claim in shown_claims(case.reference)]
    return _share([bool(text) and says_yes(ask(check)) for check in checks])


def _cite_precision(case: Case, ask: AskJudge) -> float:
    claims = _merged_claims(case)
    cited = list(dict.fromkeys(video for videos in claims.values() for video in videos))
    passage = list_claims(cited, case.reference)
    return _share([bool(passage) and says_yes(ask(Check("claims", claim, case.answer.text, passage))) for claim in claims])


def _cite_recall(case: Case, ask: AskJudge) -> float:
    return _share([_is_attributed(claim, case, ask) for claim in shown_claims(case.reference)])


def _is_attributed(claim: ReferenceClaim, case: Case, ask: AskJudge) -> bool:
    passages = (sentences_citing(video, case.answer) for video in claim.supporting_videos)
    return _any_yes((Check("claims", claim.text, case.answer.text, passage) for passage in passages if passage), ask)


def _info_precision_seen(case: Case, ask: AskJudge) -> float:
    texts = [statement.text for statement in case.answer.statements]
    seen = {text for text in texts if _shown_in(case.reference.videos, text, case, ask)}
    return len(seen) / len(texts) if texts else 0.0


def _cite_precision_seen(case: Case, ask: AskJudge) -> float:
    claims = _merged_claims(case)
    total = 0.0
    for video in dict.fromkeys(video for videos in claims.values() for video in videos):
        total += _share([_shown_in([video], claim, case, ask) for claim, videos in claims.items() if video in videos])
    return total / len(claims) if claims else 0.0


def _merged_claims(case: Case) -> dict[str, list[str]]:
    """Claim -> videos that it cites, equal claims as one."""
    found: dict[str, list[str]] = {}
    for statement in case.answer.statements:
        videos = found.setdefault(statement.text, [])
        videos += [video for video in case.answer.videos(statement) if video not in videos]
    return found


def _shown_in(videos: Sequence[str], claim: str, case: Case, ask: AskJudge) -> bool:
    return _any_yes((Check("video", claim, case.answer.text, video_id=video) for video in videos), ask)


def _any_yes(checks: Iterable[Check], ask: AskJudge) -> bool:
    """Return whether any verdict is a yes, asking for one after the other until one is."""
    for check in checks:
        verdict = ask(check)
        if verdict is PENDING or says_yes(verdict):
            return verdict is not PENDING
    return False


def _share(parts: Sequence[bool]) -> float:
    return sum(parts) / len(parts) if parts else 0.0
