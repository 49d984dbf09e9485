"""ALCE (arXiv 2305.14627, code `eval.py`): are sentences supported by what they cite, and is every citation needed?

    CitationRecall      share of the sentences that all their citations together entail
    CitationPrecision   share of the citations that are needed: the only one of an entailed sentence; or one of several that
                        entails the sentence alone, or without which the others do not entail it

These are shares, where the original prints percent. As in the original, the first three citations of a sentence count; a
sentence without citations, or with one that the answer does not have, is not entailed and its citations are not counted. The
premise is the text of the cited spans; with a video judge, a sentence is also entailed if a cited clip shows what it says.
"""

from collections.abc import Callable
from functools import partial

from rankvideo_rag.eval.answers.judge import AskJudge, Check, any_supported
from rankvideo_rag.eval.answers.records import Case, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.answers.values import MeasureValue, share

MAX_CITATIONS = 3


def alce_scores(case: Case, ask: AskJudge) -> dict[str, MeasureValue]:
    """Return recall and precision of an answer's citations."""
    entailed: list[bool | None] = []
    needed: list[bool | None] = []
    for statement in case.answer.statements:
        cited = statement.cited[:MAX_CITATIONS]
        if not cited or statement.dangling:
            entailed.append(False)
            continue
        supports = partial(citations_support, statement, case.answer, ask)
        all_support = supports(cited)
        entailed.append(all_support)
        decided = len(cited) == 1 or not all_support
        needed += [all_support if decided else _is_needed(one, cited, supports) for one in cited]
    return {
        "CitationRecall": share(entailed, of="sentences in the answer"),
        "CitationPrecision": share(needed, of="citations in the answer"),
    }


def citations_support(statement: Statement, answer: SystemAnswer, ask: AskJudge, cited: tuple[int, ...]) -> bool | None:
    """Return whether these citations together support a statement: by their text, or by what one of them shows."""
    spans = [answer.citations[position] for position in cited]
    text = "\n".join(span.text for span in spans if span.text)
    checks = [Check("passage", statement.text, answer.text, text)]
    if ask.has_video_judge:
        video = [Check("video", statement.text, answer.text, "", span.video_id, span.start, span.end) for span in spans]
        checks = [*checks, *video] if text else video
    return any_supported(checks, ask)


def _is_needed(one: int, cited: tuple[int, ...], supports: Callable[[tuple[int, ...]], bool | None]) -> bool | None:
    alone = supports((one,))
    if alone:
        return True
    others = supports(tuple(other for other in cited if other != one))
    if others is False:
        return True
    return None if alone is None or others is None else False
