"""ALCE (arXiv 2305.14627, code `eval.py`): are an answer's sentences borne out by what they cite, and is every citation needed?

    CitationRecall      share of the sentences that all their citations together entail
    CitationPrecision   share of the citations that are needed: the only one of an entailed sentence; one of several that
                        entails the sentence alone, or without which the rest does not entail it

Shares, where the original prints percent. As there, the first three citations of a sentence count; a sentence with none, or
with one that the answer does not have, is not entailed, and such a sentence's citations are not counted. The premise is the
words of the cited places; where video can be judged, a sentence is also entailed if one of the cited clips bears it out.
"""

from rankvideo_rag.eval.answers.judge import AskJudge, Check, any_supported
from rankvideo_rag.eval.answers.records import Case, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.answers.values import MeasureValue, share

MOST_CITATIONS = 3


def alce_scores(case: Case, ask: AskJudge, *, watch: bool = False) -> dict[str, MeasureValue]:
    """Recall and precision of an answer's citations."""
    answer = case.answer
    recalled: list[bool | None] = []
    needed: list[bool | None] = []
    for said in answer.statements:
        cited = said.cited[:MOST_CITATIONS]
        if not cited or said.dangling:
            recalled.append(False)
            continue
        entailed = citations_support(cited, said, answer, ask, watch=watch)
        recalled.append(entailed)
        needed += [_needed(one, cited, entailed, said, answer, ask, watch=watch) for one in cited]
    return {
        "CitationRecall": share(recalled, of="sentences in the answer"),
        "CitationPrecision": share(needed, of="citations in the answer"),
    }


def citations_support(
    cited: tuple[int, ...], said: Statement, answer: SystemAnswer, ask: AskJudge, *, watch: bool
) -> bool | None:
    """Whether these citations together bear out a statement: by their words, or by what is seen in one of them."""
    places = [answer.citations[position] for position in cited]
    words = "\n".join(place.words for place in places if place.words)
    checks = [Check("passage", said.text, answer.text, words)]
    if watch:
        seen = [Check("video", said.text, answer.text, "", place.video_id, place.start, place.end) for place in places]
        checks = [*checks, *seen] if words else seen
    return any_supported(checks, ask)


def _needed(
    one: int,
    cited: tuple[int, ...],
    entailed: bool | None,
    said: Statement,
    answer: SystemAnswer,
    ask: AskJudge,
    *,
    watch: bool,
) -> bool | None:
    if len(cited) == 1 or not entailed:
        return entailed
    alone = citations_support((one,), said, answer, ask, watch=watch)
    if alone:
        return True
    rest = citations_support(tuple(other for other in cited if other != one), said, answer, ask, watch=watch)
    if rest is False:
        return True
    return None if alone is None or rest is None else False
