"""ARGUE (Auto-ARGUE, arXiv 2509.26184; TREC NeuCLIR 2024): is each sentence attributed, and what do attributed ones cover?

    SentenceSupport     attributed sentences / sentences that cite or should
    NuggetCoverage      nuggets that an attributed sentence answers / nuggets
    WeightedCoverage    the same, vital nuggets counting 1 and okay ones 0.5 (these weights are ours)
    CitationRelevance   citations of a video that supports some claim of the reference / citations
    CitationSupport     citations that support their sentence / citations
    F1                  harmonic mean of SentenceSupport and NuggetCoverage

A sentence is attributed when each of its citations supports it. A sentence without citations should have some, unless it
repeats what was said with a citation earlier: then it is left out. Whether a sentence needs no citation at all is not judged;
abstention is measured in abstention.py. Nuggets are the claims of the reference. Counts summed over all questions give the
micro average, means of the questions' scores the macro average.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from rankvideo_rag.eval.answers.alce import citations_support
from rankvideo_rag.eval.answers.judge import AskJudge, Check, any_supported
from rankvideo_rag.eval.answers.records import Case, ReferenceClaim
from rankvideo_rag.eval.answers.values import MeasureValue, Tally, f1, tally

_OKAY_WEIGHT = 0.5
_COUNTED = {
    "SentenceSupport": "sentences that cite or should",
    "NuggetCoverage": "nuggets",
    "WeightedCoverage": "nuggets that are known to be vital or okay",
    "CitationRelevance": "citations, or videos in the reference",
    "CitationSupport": "citations",
}

ArgueCounts = Mapping[str, Tally]
"""Score name, without F1 -> what was counted for it."""


def argue_counts(case: Case, ask: AskJudge) -> ArgueCounts:
    """Count what the scores of one answer rest on."""
    statements, known_videos = case.answer.statements, case.reference.videos
    supports = [
        [*(citations_support(one, case.answer, ask, (position,)) for position in one.cited), *[False] * one.dangling]
        for one in statements
    ]
    relevant = [
        [*(case.answer.citations[position].video_id in known_videos for position in one.cited), *[False] * one.dangling]
        for one in statements
    ]
    attributed = _attributed_sentences(case, supports, ask)
    covered = {nugget: _is_covered(nugget, case, attributed, ask) for nugget in case.reference.claims}
    return {
        "SentenceSupport": tally(attributed.values()),
        "NuggetCoverage": tally(covered.values()),
        "WeightedCoverage": _weighted(covered),
        "CitationRelevance": tally(chain(*relevant) if known_videos else ()),
        "CitationSupport": tally(chain(*supports)),
    }


def sum_counts(counts: Iterable[ArgueCounts]) -> ArgueCounts:
    """Return the sums, from which the micro average is computed."""
    every = list(counts)
    return {name: Tally(*map(sum, zip(Tally(), *(one.get(name, Tally()) for one in every), strict=True))) for name in _COUNTED}


def argue_scores(counts: ArgueCounts, *, average: str = "") -> dict[str, MeasureValue]:
    """Return the scores of one answer, or of sums over several."""
    scores = {name: counts.get(name, Tally()).ratio(of) for name, of in _COUNTED.items()}
    scores["F1"] = f1(scores["SentenceSupport"], scores["NuggetCoverage"])
    return {f"ARGUE-{name}{average}": value for name, value in scores.items()}


def _attributed_sentences(case: Case, supports: Sequence[Sequence[bool | None]], ask: AskJudge) -> dict[int, bool | None]:
    """Position -> whether each citation supports the sentence, for the sentences that cite or should."""
    found: dict[int, bool | None] = {}
    for position, of_sentence in enumerate(supports):
        if of_sentence:
            found[position] = False if False in of_sentence else None if None in of_sentence else True
        elif not (repeats := _repeats(position, case, ask)):
            found[position] = repeats
    return found


def _repeats(position: int, case: Case, ask: AskJudge) -> bool | None:
    """Whether a sentence repeats what was said with a citation before it."""
    cited = " ".join(earlier.text for earlier in case.answer.statements[:position] if earlier.cited)
    claim = case.answer.statements[position].text
    return bool(cited) and ask(Check("claims", claim, case.answer.text, cited)).supported


def _is_covered(nugget: ReferenceClaim, case: Case, attributed: Mapping[int, bool | None], ask: AskJudge) -> bool | None:
    """Whether an attributed sentence answers a nugget; None where only one of unknown attribution does."""
    answered = _is_answered(nugget, case, [i for i, correct in attributed.items() if correct], ask)
    if answered is not False:
        return answered
    perhaps = _is_answered(nugget, case, [i for i, correct in attributed.items() if correct is None], ask)
    return False if perhaps is False else None


def _is_answered(nugget: ReferenceClaim, case: Case, positions: Sequence[int], ask: AskJudge) -> bool | None:
    texts = (case.answer.statements[position].text for position in positions)
    return any_supported((Check("nugget", nugget.text, case.reference.question, text) for text in texts), ask)


def _weighted(covered: Mapping[ReferenceClaim, bool | None]) -> Tally:
    weights = {
        nugget: 1.0 if nugget.vital else _OKAY_WEIGHT
        for nugget, found in covered.items()
        if found is not None and nugget.vital is not None
    }
    return Tally(sum(weight for nugget, weight in weights.items() if covered[nugget]), sum(weights.values()))
