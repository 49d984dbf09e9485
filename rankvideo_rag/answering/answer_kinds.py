"""Find in a text what a question asks for: a person, a date, an amount with its unit, a reason."""

import re
from collections.abc import Callable, Iterable, Set
from functools import lru_cache

from rankvideo_rag.answering import question_words
from rankvideo_rag.answering.questions import AnalysedQuestion
from rankvideo_rag.text import language_of, tokenize
from rankvideo_rag.text.names import find_names, name_words
from rankvideo_rag.text.numbers import Quantity, find_quantities
from rankvideo_rag.text.tokens import fold

_LENGTHS = frozenset("km m cm mm mile foot inch yard m2 km2 hectare acre".split())
_WEIGHTS = frozenset("kg g t lb ounce jin".split())
_SPEEDS = frozenset("km/h mph m/s knot".split())
_DEGREES = frozenset("degree fahrenheit".split())
_DATES = frozenset("date month weekday year decade century ordinal".split())
_PERSON_WORDS = re.compile(
    r"\b(?:he|she|him|her|man|woman|girl|boy|mother|father|sister|brother|son|daughter|aunt|uncle|student|teacher|nephew"
    r"|er|sie|mann|frau|vater|mutter|schwester|bruder|sohn|tochter|el|ella|padre|madre|hijo|hija|hermano|hermana|senor|senora)\b"
    r"|他|她|师傅|老板|先生|女士|孙|姓|父|母"
)
_PRICE_WORDS = re.compile(
    r"\b(?:price|prices|cost|costs|costing|paid|pay|pays|charge|charges|fee|quote|quoted|wanted|offered|cheap\w*|expensive|budget|money|for"
    r"|preis|kostet\w*|bezahl\w*|precio|cuesta\w*|pagar|prix|coute\w*)\b|[价钱票卖买]"
)


def matches_kind(question: AnalysedQuestion, text: str, *, known_names: Set[str] = frozenset()) -> float:
    """Return how well a text holds what the question asks for: 1 exactly, 0.5 in a looser sense, 0 not at all.

    1 as well where any text may be the answer. `known_names`: words of names in the video, folded.
    """
    check = _CHECKS.get(question.kind)
    return check(question, text, known_names) if check else 1.0


def _quantities(question: AnalysedQuestion, text: str) -> list[Quantity]:
    """Return the quantities of a text that the question does not state. "One" alone is a pronoun more often than a number."""
    return [
        q
        for q in cached_quantities(text)
        if q.value not in question.numbers and not (q.value == 1 and q.kind == "number" and not text[q.start].isdigit())
    ]


@lru_cache(maxsize=1 << 14)
def cached_quantities(text: str) -> tuple[Quantity, ...]:
    """Return the quantities of a text in its language."""
    return find_quantities(text, language_of(text))


def _measure(units: Iterable[str], *, loose: bool = True) -> "_Check":
    wanted = frozenset(units)

    def check(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
        found = _quantities(question, text)
        if any(q.kind == "measure" and q.unit.split("/")[0] in wanted for q in found):
            return 1.0
        return 0.5 if loose and any(q.kind in ("number", "fraction") for q in found) else 0.0

    return check


def _of_kinds(*kinds: str, loosely: Iterable[str] = ()) -> "_Check":
    other = frozenset(loosely)

    def check(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
        found = {q.kind for q in _quantities(question, text)}
        return 1.0 if found & set(kinds) else 0.5 if found & other else 0.0

    return check


def _count(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    found = _quantities(question, text)
    if question.unit:
        exact = any(q.unit.split("/")[0] == question.unit for q in found)
        return 1.0 if exact else 0.0
    if not (numbers := [q for q in found if q.kind in ("number", "percent", "fraction")]):
        return 0.5 if any(q.kind in ("duration", "measure", "ordinal", "time") for q in found) else 0.0
    return 1.0 if any(_is_counted(question, text, q) for q in numbers) else 0.5


def _is_counted(question: AnalysedQuestion, text: str, quantity: Quantity) -> bool:
    """Return whether one of the words that are counted comes soon after a number."""
    following = {token.term for token in tokenize(text[quantity.end : quantity.end + 60])[:4]}
    return bool(question.counted & following)


def _age(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    has_number = any(q.kind in ("duration", "number") for q in _quantities(question, text))
    return 1.0 if has_number and _says(question_words.AGES, text) else 0.0


def _money(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    found = _quantities(question, text)
    if any(q.kind == "money" for q in found):
        return 1.0
    numbers = [q for q in found if q.kind in ("number", "fraction", "time")]
    return 0.5 if numbers and _PRICE_WORDS.search(fold(text)) else 0.25 if any(q.value >= 100 for q in numbers) else 0.0


def _extent(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    found = _quantities(question, text)
    exact = any(q.kind == "duration" or (q.kind == "measure" and q.unit in _LENGTHS) for q in found)
    return 1.0 if exact else 0.5 if any(q.kind == "number" for q in found) else 0.0


def _when(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    if {q.kind for q in _quantities(question, text)} & (_DATES | {"time"}):
        return 1.0
    return 0.5 if _says(question_words.RELATIVE_DATES, text) or cached_quantities(text) else 0.0


def _date(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    if {q.kind for q in _quantities(question, text)} & _DATES:
        return 1.0
    return 0.5 if _says(question_words.RELATIVE_DATES, text) else 0.0


def _frequency(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    return 1.0 if _says(question_words.FREQUENCIES, text) else 0.5 if _quantities(question, text) else 0.0


def _reason(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    return 1.0 if _says(question_words.REASONS, text) else 0.5


def _place(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    return 1.0 if _says(question_words.PLACES, text) else 0.5


def _person(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    if new_names(question, text, known):
        return 1.0
    return 0.5 if _PERSON_WORDS.search(fold(text)) or not has_capitals(text) else 0.0


def _name(question: AnalysedQuestion, text: str, known: Set[str]) -> float:
    return 1.0 if new_names(question, text, known) else 0.5 if not has_capitals(text) else 0.0


def new_names(question: AnalysedQuestion, text: str, known: Set[str]) -> frozenset[str]:
    """Return the words of a text's names that the question does not have."""
    return names_in(text, frozenset(known)) - question.names - {token.word for token in tokenize(question.text)}


@lru_cache(maxsize=1 << 14)
def names_in(text: str, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the words of a text's names, folded."""
    return name_words(find_names(text, known=known))


def has_capitals(text: str) -> bool:
    """Return whether a text is written with capital letters, by which names can be found."""
    return any(c.isupper() for c in text)


def _says(patterns: dict[str, str], text: str) -> bool:
    pattern = patterns.get(language_of(text) or "en") or patterns["en"]
    return re.search(pattern, fold(text)) is not None


_Check = Callable[[AnalysedQuestion, str, Set[str]], float]
_CHECKS: dict[str, _Check] = {
    "age": _age,
    "amount": _of_kinds("measure", "money", "percent", "fraction", loosely=["number", "duration"]),
    "count": _count,
    "date": _date,
    "duration": _of_kinds("duration", loosely=["number", "fraction"]),
    "extent": _extent,
    "frequency": _frequency,
    "length": _measure(_LENGTHS),
    "money": _money,
    "name": _name,
    "number": _of_kinds("number", "code", "ordinal"),
    "percent": _of_kinds("percent", "fraction"),
    "person": _person,
    "place": _place,
    "reason": _reason,
    "speed": _measure(_SPEEDS, loose=False),
    "temperature": _measure(_DEGREES),
    "time": _of_kinds("time"),
    "weight": _measure(_WEIGHTS),
    "when": _when,
    "year": _of_kinds("year", "decade", "century"),
}
