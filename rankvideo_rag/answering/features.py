"""Measure how well a candidate answers a question: what the weights of a `QuoteModel` apply to."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rankvideo_rag.answering import question_words
from rankvideo_rag.answering.answer_kinds import matches_kind, names_in
from rankvideo_rag.answering.candidates import QUESTION_END, Candidate
from rankvideo_rag.answering.coverage import CHANNEL_WORDS
from rankvideo_rag.answering.questions import AnalysedQuestion
from rankvideo_rag.text import joined_terms, language_of, stem
from rankvideo_rag.text.timed import count_words
from rankvideo_rag.text.tokens import fold

MIN_IDF = 0.1
FULL = 0.9  # share of the question's information
COMPLETE = 3  # terms of a question that one sentence has, from which it needs no other
KEPT = 0.8  # share of a candidate's terms of the question with which a sentence can begin a quote
ASKED_WEIGHT = 0.4  # of a term that names what is asked for, which answers often do not repeat
_TYPED = frozenset(
    "age amount count date duration extent frequency length money name number percent person speed temperature time weight when"
    " year".split()
)
_COPULA = re.compile(
    r"\b(?:is|are|was|were|means|called|that's|it's|we|ist|sind|heisst|nennt|bedeutet|es|son|significa|est|sont)\b|是|叫"
)
_LIST_MARKS = re.compile(r"[,、，;]|\b(?:and|und|y|et|or)\b")


class Features(NamedTuple):
    """What is measured of a candidate. Shares are of the question's information: each term weighs by its rarity."""

    own: float  # share in the candidate
    near: float  # share that the three sentences before and the one after it add
    scene: float  # share that the rest of the scene and the title add
    missing: float  # share that is nowhere in the scene
    rarest: float  # whether the rarest term that the scene has is in the candidate or near it
    names: float  # share of the question's names in the candidate; 1 if it has none
    names_near: float  # share that the sentences before it add
    conflict: float  # whether it has other names, and neither it nor the sentence before it has the question's
    kind: float  # how well it has what is asked for
    typed: float  # the same, if that can be recognised in any text
    exact: float  # whether the sentence with what is asked for shares a term with the question
    replies: float  # share of the question in a question inside the candidate or just before it
    adds: float  # log of 1 + the content words that the question lacks, outside questions
    words: float  # log of its length
    sentences: float
    announces: float  # whether it is short and adds little
    corrected: float  # whether it is taken back: by the next sentence, or by its last one without saying what is right
    corrects: float  # whether it begins by taking something back
    corrects_inside: float  # whether it takes something back itself
    decides: float  # whether the question asks for a decision, and it states one
    defines: float  # whether the question asks for a definition, and it has a copula
    negates: float  # whether it denies something near a word of a yes-no question that is no name
    listed: float  # marks of a list, up to 4, divided by 4, where a list is asked for
    rank: float  # 1 / rank of the clip
    cross: float  # log odds of a cross-encoder
    full: float  # whether it has nearly all of the question's information
    channel: float  # whether the question asks for text of its channel: "the sign"


def measure(
    question: AnalysedQuestion,
    weights: Mapping[str, float],
    candidate: Candidate,
    *,
    rank: int,
    cross: float = 0.0,
) -> Features:
    """Return the features of a candidate.

    Args:
        weights: term of the question -> its information.
        rank: of the candidate's clip, from 1.
        cross: logit of a cross-encoder.
    """
    shares = _shares(question, weights, candidate)
    names, names_near, conflict = _names(question, candidate)
    return Features(
        **shares,
        **_kinds(question, weights, candidate, is_full=bool(shares["full"])),
        **_extent(question, candidate),
        **_corrections(question, candidate),
        **_words_that_answer(question, candidate),
        names=names,
        names_near=names_near,
        conflict=conflict,
        rank=1.0 / rank,
        cross=cross,
        channel=float(not CHANNEL_WORDS[candidate.channel].isdisjoint(weights)),
    )


def _shares(question: AnalysedQuestion, weights: Mapping[str, float], candidate: Candidate) -> dict[str, float]:
    """Return where the question's information is."""
    scene, inside = candidate.scene, candidate.inside
    own = _with_parts(question, _union(scene.terms, inside)) | CHANNEL_WORDS[candidate.channel]
    near = own | _with_parts(question, _union(scene.terms, [*candidate.before(3), *candidate.after(1)]))
    everywhere = _with_parts(question, scene.all_terms)
    rarest = max((term for term in weights if term in everywhere), key=lambda term: weights[term], default=None)
    questions = [i for i in [*candidate.before(1), *inside] if scene.asks[i]]
    found = _share(weights, own)
    return {
        "own": found,
        "near": _share(weights, near - own),
        "scene": _share(weights, everywhere - near),
        "missing": 1.0 - _share(weights, everywhere),
        "rarest": float(rarest is not None and rarest in near),
        "replies": _share(weights, _union(scene.terms, questions)),
        "full": float(found >= FULL),
    }


def _share(weights: Mapping[str, float], terms: frozenset[str]) -> float:
    """Return the share of the question's information in some terms."""
    return sum(weight for term, weight in weights.items() if term in terms) / (sum(weights.values()) or 1.0)


def _kinds(
    question: AnalysedQuestion, weights: Mapping[str, float], candidate: Candidate, *, is_full: bool
) -> dict[str, float]:
    """Return whether a candidate has what is asked for."""
    scene, kinds = candidate.scene, _kinds_of_sentences(question, candidate)
    kind = max(matches_kind(question, candidate.text, known_names=scene.names), *kinds)
    if is_full and question.kind in ("person", "name"):  # people without a name: "the merchants paid for the bridge"
        kind = max(kind, 0.5)
    exact = any(
        match == kind and not scene.terms[i].isdisjoint(weights) for i, match in zip(candidate.inside, kinds, strict=True)
    )
    return {"kind": kind, "typed": kind if question.kind in _TYPED else 0.0, "exact": float(exact)}


def _kinds_of_sentences(question: AnalysedQuestion, candidate: Candidate) -> list[float]:
    scene = candidate.scene
    return [matches_kind(question, scene.sentences[i].text, known_names=scene.names) for i in candidate.inside]


def _extent(question: AnalysedQuestion, candidate: Candidate) -> dict[str, float]:
    """Return how long a candidate is, and how much it adds to the question."""
    scene = candidate.scene
    new = _union(scene.content, [i for i in candidate.inside if not scene.asks[i]]) - set(question.terms)
    return {
        "adds": math.log1p(len(new)),
        "words": math.log1p(count_words(candidate.text)),
        "sentences": float(len(candidate.inside)),
        "announces": float(len(new) < 3),
    }


def _corrections(question: AnalysedQuestion, candidate: Candidate) -> dict[str, float]:
    """Return what is taken back."""
    corrects, inside = candidate.scene.corrects, candidate.inside
    ends_with_one = corrects[inside[-1]] and not _kinds_of_sentences(question, candidate)[-1]
    return {
        "corrected": float(ends_with_one or any(corrects[i] for i in candidate.after(1))),
        "corrects": float(corrects[candidate.first]),
        "corrects_inside": float(any(corrects[i] for i in inside[1:])),
    }


def _words_that_answer(question: AnalysedQuestion, candidate: Candidate) -> dict[str, float]:
    """Return whether a candidate has the words with which a question of this kind is answered."""
    asks_for_decision = question.kind == "choice" or says(question_words.DECISIONS, question.text)
    return {
        "decides": float(asks_for_decision and says(question_words.DECISIONS, candidate.text)),
        "defines": float(question.kind == "definition" and _COPULA.search(fold(candidate.text)) is not None),
        "negates": float(question.kind == "yes_no" and any(_denies(question, candidate, i) for i in candidate.inside)),
        "listed": min(len(_LIST_MARKS.findall(candidate.text)), 4) / 4 if question.is_list else 0.0,
    }


def term_weights(question: AnalysedQuestion, idf: Callable[[str], float]) -> dict[str, float]:
    """Return the information of each term of a question."""
    return {term: max(idf(term), MIN_IDF) * (ASKED_WEIGHT if term in question.asked else 1.0) for term in question.terms}


def lacks_condition(question: AnalysedQuestion, candidate: Candidate, features: Features) -> bool:
    """Return whether a candidate cannot answer: it lacks what is asked for, or its scene a name or number of the question."""
    if question.kind in _TYPED and features.kind == 0.0:
        return True
    return not (question.names <= candidate.scene.all_words and question.numbers <= candidate.scene.numbers)


def shorten(question: AnalysedQuestion, candidate: Candidate) -> Candidate:
    """Return a candidate without sentences at its ends that have neither a term of the question nor what it asks for.

    Where what is asked for cannot be recognised, a sentence after the question's terms may be the answer and is kept, unless
    one before it has all of the terms and says more, or the question is a statement; those before a sentence that has most
    of the terms are not.
    """
    terms, scene, inside = frozenset(question.terms), candidate.scene, candidate.inside
    if question.kind not in _TYPED:
        held = [len(terms & scene.terms[number]) for number in inside]
        most = KEPT * len(terms & _union(scene.terms, inside))
        first = next((number for number, count in zip(inside, held, strict=True) if count and count >= most), candidate.first)
        says_more = not scene.content[first] <= terms or not QUESTION_END.search(question.text)
        is_whole = len(terms) >= COMPLETE and terms <= scene.terms[first] and says_more
        ends = is_whole and not question.is_list and not any(scene.corrects[number] for number in range(first, candidate.last))
        return Candidate(scene, first, first + 1 if ends else candidate.last)
    kinds = _kinds_of_sentences(question, candidate)
    needed = [
        number
        for number, kind in zip(inside, kinds, strict=True)
        if (kind and kind == max(kinds)) or terms & scene.terms[number] or scene.corrects[number]
    ]
    return Candidate(scene, needed[0], needed[-1] + 1) if needed else candidate


def _denies(question: AnalysedQuestion, candidate: Candidate, number: int) -> bool:
    """Return whether a sentence denies something, and it or the one before it has a word of the question that is no name."""
    scene = candidate.scene
    near = scene.terms[number] | (scene.terms[number - 1] if number else frozenset())
    stated = set(question.terms) - {stem(name) for name in question.names}
    return says(question_words.NEGATIONS, scene.sentences[number].text) and not stated.isdisjoint(near)


def says(patterns: Mapping[str, str], text: str) -> bool:
    """Return whether a text matches the pattern of its language, English if that is not known."""
    pattern = patterns.get(language_of(text) or "en") or patterns["en"]
    return re.search(pattern, fold(text)) is not None


def _names(question: AnalysedQuestion, candidate: Candidate) -> tuple[float, float, float]:
    """Return the share of the question's names in a candidate and before it, and whether other names stand in their place."""
    asked, scene = question.names, candidate.scene
    if not asked:
        return 1.0, 0.0, 0.0
    own = _union(scene.words, candidate.inside)
    before = _union(scene.words, candidate.before(4))
    others = names_in(candidate.text, scene.names) - asked
    beside = own | _union(scene.words, candidate.before(1))
    return (
        len(asked & own) / len(asked),
        len((asked & before) - own) / len(asked),
        float(not asked & beside and bool(others)),
    )


def _with_parts(question: AnalysedQuestion, terms: frozenset[str]) -> frozenset[str]:
    """Return terms, with "clean" and "room" where "cleanroom" is among them and the question has the two words."""
    return terms.union(*(pair for word, pair in joined_terms(question.text).items() if word in terms))


def _union(sets: tuple[frozenset[str], ...], numbers: Iterable[int]) -> frozenset[str]:
    return frozenset().union(*(sets[number] for number in numbers))
