"""MiRAGE as its published code counts (github alexmartin1722/mirage, e5c7b53), so that printed numbers can be reproduced.

It departs from its definition (mirage.py) in these points:

1. CiteP holds each claim against the claims of all videos that are cited anywhere in the answer, not of those that it cites.
2. CiteP against the collection adds, over the cited videos, the *shares* of the claims citing a video that it bears out, and
   divides by the number of claims.
3. Claims with the same words become one in CiteP, their citations joined; against the collection, InfoP counts a repetition as
   not borne out.
4. "yes" anywhere in a judge's reply is a yes; everything else is a no, also a video that cannot be watched.
5. An answer without claims has a precision of 0, a reference without claims a recall of 0.
6. A question without an answer is left out.
7. Judging CiteR, it shows as the context of a reference's claim the answer instead of the reference.

A judge that writes no reply is taken at its label.
"""

from collections.abc import Iterable, Sequence

from rankvideo_rag.eval.answers.judge import PENDING, AskJudge, Check, Verdict
from rankvideo_rag.eval.answers.mirage import citing, listed_claims, supported
from rankvideo_rag.eval.answers.records import Case, ReferenceClaim
from rankvideo_rag.eval.answers.values import MeasureValue, f1

SUFFIX = "(original)"


def original_mirage_scores(case: Case, ask: AskJudge, *, watch: bool = False) -> dict[str, MeasureValue]:
    """The six numbers as the published code would print them; none for a question without an answer."""
    if case.absent:
        return {}
    recalls = _info_recall(case, ask), _cite_recall(case, ask)
    found = _named((_info_precision(case, ask), _cite_precision(case, ask)), recalls, SUFFIX)
    if watch:
        found |= _named((_info_seen(case, ask), _cite_seen(case, ask)), recalls, f"(collection){SUFFIX}")
    return found


def says_yes(verdict: Verdict) -> bool:
    """How the published code reads a reply."""
    return "yes" in verdict.reply.lower() if verdict.reply is not None else bool(verdict.supported)


def _info_precision(case: Case, ask: AskJudge) -> float:
    answer, article = case.answer, case.reference.text
    return _share([says_yes(ask(Check("passage", said.text, answer.text, article))) for said in answer.statements])


def _info_recall(case: Case, ask: AskJudge) -> float:
    article, text = case.reference.text, case.answer.text
    checks = [Check("passage", claim.text, article, text) for claim in supported(case.reference)]
    return _share([bool(text) and says_yes(ask(check)) for check in checks])


def _cite_precision(case: Case, ask: AskJudge) -> float:
    claims = _merged(case)
    cited = list(dict.fromkeys(video for videos in claims.values() for video in videos))
    passage = listed_claims(cited, case.reference)
    return _share([bool(passage) and says_yes(ask(Check("claims", claim, case.answer.text, passage))) for claim in claims])


def _cite_recall(case: Case, ask: AskJudge) -> float:
    return _share([_attributed(claim, case, ask) for claim in supported(case.reference)])


def _attributed(claim: ReferenceClaim, case: Case, ask: AskJudge) -> bool:
    passages = (citing(video, case.answer) for video in claim.supporting_videos)
    return _any((Check("claims", claim.text, case.answer.text, passage) for passage in passages if passage), ask)


def _info_seen(case: Case, ask: AskJudge) -> float:
    answer = case.answer
    said = [statement.text for statement in answer.statements]
    seen = {text for text in said if _sees(case.reference.videos, text, answer.text, ask)}
    return len(seen) / len(said) if said else 0.0


def _cite_seen(case: Case, ask: AskJudge) -> float:
    claims = _merged(case)
    cited = dict.fromkeys(video for videos in claims.values() for video in videos)
    total = 0.0
    for video in cited:
        total += _share([_sees([video], claim, case.answer.text, ask) for claim, videos in claims.items() if video in videos])
    return total / len(claims) if claims else 0.0


def _merged(case: Case) -> dict[str, list[str]]:
    """Claim -> videos that it cites, equal claims as one."""
    found: dict[str, list[str]] = {}
    for said in case.answer.statements:
        videos = found.setdefault(said.text, [])
        videos += [video for video in case.answer.videos(said) if video not in videos]
    return found


def _sees(videos: Sequence[str], claim: str, context: str, ask: AskJudge) -> bool:
    return _any((Check("video", claim, context, video_id=video) for video in videos), ask)


def _any(checks: Iterable[Check], ask: AskJudge) -> bool:
    """Whether any says yes, asked one after the other until one does."""
    for check in checks:
        verdict = ask(check)
        if verdict is PENDING or says_yes(verdict):
            return verdict is not PENDING
    return False


def _share(parts: Sequence[bool]) -> float:
    return sum(parts) / len(parts) if parts else 0.0


def _named(precisions: tuple[float, float], recalls: tuple[float, float], mode: str) -> dict[str, MeasureValue]:
    found: dict[str, MeasureValue] = {}
    for name, precision, recall in zip(("Info", "Cite"), precisions, recalls, strict=True):
        both = MeasureValue(precision), MeasureValue(recall)
        found |= {f"{name}P{mode}": both[0], f"{name}R{mode}": both[1], f"{name}F1{mode}": f1(*both)}
    return found
