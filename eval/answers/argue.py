"""ARGUE (Auto-ARGUE, arXiv 2509.26184; TREC NeuCLIR 2024): is each sentence attributed as it should be, and what do those say?

    SentenceSupport     correctly cited sentences / sentences that cite or should
    NuggetCoverage      nuggets that a correctly cited sentence answers / nuggets
    WeightedCoverage    the same, vital nuggets counting 1 and okay ones 0.5 (these weights are ours)
    CitationRelevance   citations of a video that supports some claim of the reference / citations
    CitationSupport     citations that bear out their sentence / citations
    F1                  harmonic mean of SentenceSupport and NuggetCoverage

A sentence is correctly cited when each of its citations bears it out. One that cites nothing should have, unless what it says
was said with a citation earlier: then it is left out. Whether a sentence needs no citation at all is not judged, and that the
archive does not answer is measured in abstention.py. Nuggets are the claims of the reference. Sums over all questions give the
micro average, means of the questions' scores the macro average.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rankvideo_rag.eval.answers.alce import citations_support
from rankvideo_rag.eval.answers.judge import AskJudge, Check, any_supported
from rankvideo_rag.eval.answers.records import Case, ReferenceClaim
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.answers.values import MeasureValue, f1, ratio

_OKAY = 0.5


class ArgueCounts(NamedTuple):
    """What ARGUE counts. What no verdict is known of is in neither count of its pair, and counted apart."""

    correct_sentences: int = 0
    sentences: int = 0
    correct_nuggets: int = 0
    nuggets: int = 0
    correct_weight: float = 0.0  # of nuggets that are known to be vital or okay
    weight: float = 0.0
    relevant: int = 0  # citations
    checked_for_relevance: int = 0
    supporting: int = 0
    checked_for_support: int = 0
    unknown_sentences: int = 0
    unknown_nuggets: int = 0
    unknown_support: int = 0


def count_answer(case: Case, ask: AskJudge, *, watch: bool = False) -> ArgueCounts:
    """What is counted of one answer."""
    sentences = _sentences(case, ask, watch=watch)
    attributed = [correct for correct in sentences.values() if correct is not None]
    covered = {nugget: _covered(nugget, case, sentences, ask) for nugget in case.reference.claims}
    known = {nugget: found for nugget, found in covered.items() if found is not None}
    weights = {nugget: 1.0 if nugget.vital else _OKAY for nugget in known if nugget.vital is not None}
    relevant, supporting = _relevant(case), _supporting(case, ask, watch=watch)
    return ArgueCounts(
        correct_sentences=sum(attributed),
        sentences=len(attributed),
        correct_nuggets=sum(known.values()),
        nuggets=len(known),
        correct_weight=sum(weight for nugget, weight in weights.items() if known[nugget]),
        weight=sum(weights.values()),
        relevant=sum(relevant),
        checked_for_relevance=len(relevant),
        supporting=sum(one is True for one in supporting),
        checked_for_support=sum(one is not None for one in supporting),
        unknown_sentences=len(sentences) - len(attributed),
        unknown_nuggets=len(covered) - len(known),
        unknown_support=supporting.count(None),
    )


def sum_counts(tallies: Iterable[ArgueCounts]) -> ArgueCounts:
    """The sums, from which the micro average is computed."""
    return ArgueCounts(*(sum(column) for column in zip(*tallies, strict=True)))


def argue_scores(counted: ArgueCounts, *, average: str = "") -> dict[str, MeasureValue]:
    """The scores of one answer, or of a sum over several."""
    sentence = ratio(
        counted.correct_sentences, counted.sentences, of="sentences that cite or should", unknown=counted.unknown_sentences
    )
    coverage = ratio(counted.correct_nuggets, counted.nuggets, of="nuggets", unknown=counted.unknown_nuggets)
    support = ratio(counted.supporting, counted.checked_for_support, of="citations", unknown=counted.unknown_support)
    found = {
        "SentenceSupport": sentence,
        "NuggetCoverage": coverage,
        "WeightedCoverage": ratio(counted.correct_weight, counted.weight, of="nuggets that are known to be vital or okay"),
        "CitationRelevance": ratio(counted.relevant, counted.checked_for_relevance, of="citations, or videos in the reference"),
        "CitationSupport": support,
        "F1": f1(sentence, coverage),
    }
    return {f"ARGUE-{name}{average}": value for name, value in found.items()}


def _sentences(case: Case, ask: AskJudge, *, watch: bool) -> dict[int, bool | None]:
    """Position -> whether it is correctly cited, of the sentences that count."""
    found: dict[int, bool | None] = {}
    for position, said in enumerate(case.answer.statements):
        if said.cited or said.dangling:
            supports = [False] * bool(said.dangling) + [_supports(one, said, case, ask, watch=watch) for one in said.cited]
            found[position] = False if False in supports else None if None in supports else True
        elif not (repeats := _repeats(position, case, ask)):
            found[position] = repeats
    return found


def _repeats(position: int, case: Case, ask: AskJudge) -> bool | None:
    """Whether what a sentence says was said with a citation before."""
    cited = " ".join(earlier.text for earlier in case.answer.statements[:position] if earlier.cited)
    said = case.answer.statements[position]
    return bool(cited) and ask(Check("claims", said.text, case.answer.text, cited)).supported


def _supports(one: int, said: Statement, case: Case, ask: AskJudge, *, watch: bool) -> bool | None:
    return citations_support((one,), said, case.answer, ask, watch=watch)


def _covered(nugget: ReferenceClaim, case: Case, sentences: Mapping[int, bool | None], ask: AskJudge) -> bool | None:
    """Whether a correctly cited sentence answers a nugget; None where one does of which it is not known how it is cited."""
    answered = _answered(nugget, case, [i for i, correct in sentences.items() if correct], ask)
    if answered is not False:
        return answered
    perhaps = _answered(nugget, case, [i for i, correct in sentences.items() if correct is None], ask)
    return False if perhaps is False else None


def _answered(nugget: ReferenceClaim, case: Case, positions: Sequence[int], ask: AskJudge) -> bool | None:
    texts = (case.answer.statements[position].text for position in positions)
    return any_supported((Check("nugget", nugget.text, case.reference.question, text) for text in texts), ask)


def _relevant(case: Case) -> list[bool]:
    known = case.reference.videos
    if not known:
        return []
    return [
        relevant
        for said in case.answer.statements
        for relevant in [*(case.answer.citations[one].video_id in known for one in said.cited), *[False] * said.dangling]
    ]


def _supporting(case: Case, ask: AskJudge, *, watch: bool) -> list[bool | None]:
    return [
        supports
        for said in case.answer.statements
        for supports in [*(_supports(one, said, case, ask, watch=watch) for one in said.cited), *[False] * said.dangling]
    ]
