"""Analyse a question: its parts, the kind of answer that it asks for, its names and its terms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rankvideo_rag.answering import question_words
from rankvideo_rag.text import language_of, query_terms, split_sentences, stem
from rankvideo_rag.text.content import content_tokens, is_function_word
from rankvideo_rag.text.names import find_names, name_words
from rankvideo_rag.text.numbers import find_quantities
from rankvideo_rag.text.tokens import fold

AnswerKind = Literal[
    "age", "amount", "choice", "count", "date", "definition", "duration", "extent", "frequency", "length", "money", "name",
    "number", "other", "percent", "person", "place", "reason", "speed", "temperature", "time", "weight", "when", "year",
    "yes_no",
]  # fmt: skip

_QUESTION_WORDS = {
    "en": "how what when where which who whom whose why at on in into from for since until till by to with of",
    "de": "wie was wann wo wohin woher welche welcher welches welchem welchen wer wen wem wessen warum wieso seit bis",
    "es": "como que cuando donde cual quien quienes cuanto cuanta cuantos cuantas por de desde hasta en a",
    "fr": "comment que quand ou quel quelle quels quelles qui combien pourquoi",
}
_AND = {"en": "and", "de": "und", "es": "y", "fr": "et"}
# Words that name the kind of answer and are not repeated in it.
_ASKED_FOR = frozenset(
    """name call kind sort type reason date time day year month price cost number amount age long much many condit heavi high
    deep tall wide thick far fast old colour color temperatur weigh two three four five heiss grund zeit tag tagen jahr preis
    zahl art alt hoch tief breit dick dunn gross schwer lang dauert kostet nombr llama precio fecha dia motivo tipo cuesta
    costara pesa mide nom prix jour cout pese""".split()
)
_MANY = re.compile(r"\b(?:how many|wie ?viele?n?|cuant[oa]s|combien de?)\s+((?:[\w'-]+\s+){0,2}[\w'-]+)")
_NUMBERED_LIST = re.compile(
    r"\b(?:which|what|welche|que|cuales|quels|quelles)\s+(two|three|four|five|six|seven|zwei|drei|vier|funf|dos|tres|cuatro|cinco"
    r"|deux|trois|quatre|\d)\b"
)
_LIST = re.compile(
    r"^\W*(?:which|what) (?:\w+ )?(?!is\b|was\b|does\b|has\b)\w+(?<!ss)(?<!us)(?<!is)s"
    r" (?:are|were|do|did|have|can|must|should|will)\b"
    r"|^\W*what (?:do|does|did|should|must) (?:you|one|we|i|they) (?:need|bring|use)\b"
    r"|\bwas braucht\b|^\W*welche \w+(?:en|er|e|s) (?:sind|braucht|haben|muss)|^\W*an welchen tagen\b"
    r"|^\W*que \w+s (?:habra|son|hay|hacen)\b"
)
_WHICH = re.compile(
    r"\b(?:which|what|welche[mnrs]?|que|cual|quel(?:le)?s?) "
    r"(?:(?:kind|sort|type|part|two|three|four|five|\d) (?:of )?)?([\w'-]+)"
)
_COUNTS = {
    **dict(zip("two three four five six seven".split(), range(2, 8), strict=True)),
    **dict(zip("zwei drei vier funf".split(), range(2, 6), strict=True)),
    **dict(zip("dos tres cuatro cinco".split(), range(2, 6), strict=True)),
    **dict(zip("deux trois quatre".split(), range(2, 5), strict=True)),
}


@dataclass(frozen=True)
class AnalysedQuestion:
    """What a question asks for."""

    text: str
    language: str | None
    kind: AnswerKind
    terms: tuple[str, ...]  # phrases of its content, without words that only name the kind of answer
    asked: frozenset[str]  # of the terms, those that name what is asked for: they are often not repeated in the answer
    names: frozenset[str]  # words of proper names, folded
    numbers: frozenset[float]  # values of years and other numbers in it
    unit: str | None = None  # that the answer must have: "How many days …"
    counted: frozenset[str] = frozenset()  # terms of what is counted
    is_list: bool = False
    length: int | None = None  # of the list, if the question says it


@lru_cache(maxsize=256)
def analyse_question(text: str) -> AnalysedQuestion:
    """Return what a question asks for.

    >>> analyse_question("How many days did the strike last?").unit
    'day'
    >>> analyse_question("Who painted the lid of the harpsichord?").kind
    'person'
    """
    language = language_of(text)
    folded, kind = fold(text), _kind_of(text, language)
    tokens = content_tokens(text, language)
    quantities = find_quantities(text, language)
    counted = _counted(folded, language) if kind == "count" else ()
    unit = _unit(counted)
    asked = _head(text, language) | ({stem(word) for word in counted} if unit is None else set())
    drop = {t.term for t in tokens if t.term in _ASKED_FOR or fold(t.word) in _ASKED_FOR or (unit and t.word in counted)}
    terms = tuple(term for term in query_terms(text) if term not in drop) or tuple(query_terms(text))
    numbered = _NUMBERED_LIST.search(folded)
    return AnalysedQuestion(
        text=text,
        language=language,
        kind=kind,
        terms=terms,
        asked=frozenset(asked) & frozenset(terms),
        names=name_words(find_names(_without_capital(text), language)),
        numbers=frozenset(q.value for q in quantities if q.kind in ("year", "code") or q.value > 12),
        unit=unit,
        counted=frozenset(stem(word) for word in counted),
        is_list=bool(numbered or _LIST.search(folded)),
        length=(_COUNTS.get(numbered[1]) or (int(numbered[1]) if numbered[1].isdigit() else None)) if numbered else None,
    )


def split_question(text: str) -> list[str]:
    """Return the parts of a question that asks for several things; the whole if it asks for one.

    Each part begins with its own question word. Of several sentences, those that ask count.

    >>> split_question("How high is the wall, and how deep is the bog?")
    ['How high is the wall?', 'how deep is the bog?']
    """
    asking = [sentence for sentence in split_sentences(text) if sentence.rstrip()[-1:] in ("?", "？", "؟")]
    return [part for sentence in asking or [text] for part in _split_sentence(sentence)]


def _split_sentence(text: str) -> list[str]:
    language = language_of(text)
    words = "|".join(fold(word) for word in _QUESTION_WORDS.get(language or "", "").split())
    if not words:
        return [text]
    folded = fold(text)
    if len(folded) != len(text):
        return [text]
    cut = re.compile(rf"[,;]?\s+{_AND.get(language or 'en', 'and')}\s+(?=(?:{words})\s)")
    begin = re.compile(rf"\W*(?:(?:{words})\s)")
    places = [match for match in cut.finditer(folded) if begin.match(folded)]
    parts, start = [], 0
    for match in places:
        parts.append(text[start : match.start()].rstrip(" ,;?") + "?")
        start = match.end()
    parts.append(text[start:])
    return parts if all(len(query_terms(part)) > 1 for part in parts) else [text]


def _kind_of(text: str, language: str | None) -> AnswerKind:
    folded = fold(text)
    for pattern, kind in question_words.BY_LANGUAGE.get(language or "en", question_words.EN):
        if re.search(pattern, folded):
            return kind  # type: ignore[return-value]
    return "other"


def _counted(folded: str, language: str | None) -> tuple[str, ...]:
    """Return the words of what is counted: `parking`, `spaces` of "how many parking spaces do they have"."""
    match = _MANY.search(folded)
    if not match:
        return ()
    words = match[1].split()
    content = {token.word for token in content_tokens(match[1], language)}
    kept: list[str] = []
    for word in words:
        if word not in content:
            break
        kept.append(word)
    return tuple(reversed(kept))


def _unit(counted: Sequence[str]) -> str | None:
    """Return the unit that is counted: `day` of "how many days"."""
    found = (quantity for word in counted for quantity in find_quantities(f"2 {word}"))
    return next((quantity.unit for quantity in found if quantity.unit), None)


def _head(text: str, language: str | None) -> set[str]:
    """Return the terms of the noun that follows "which" or "what"."""
    match = _WHICH.search(fold(text))
    head = content_tokens(match[1], language) if match else []
    return {token.term for token in head} if head and not is_function_word(head[0].word, language) else set()


def _without_capital(question: str) -> str:
    """Return a question whose first word begins in lower case: it has a capital because it comes first."""
    return re.sub(r"^\W*\w", lambda match: match[0].lower(), question)
