"""Divide text into clauses, each with its content terms and with the words that decide what it claims."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rankvideo_rag.answering.claim_words import find_words, is_light, is_negated
from rankvideo_rag.text.content import content_tokens
from rankvideo_rag.text.languages import language_of
from rankvideo_rag.text.numbers import Quantity, find_quantities
from rankvideo_rag.text.tokens import Token, tokenize

REACH = 2  # sentences on either side that a statement may take words from: who "he" is, and what is asked
_PUNCTUATION = re.compile(r"[;:—–()…“”\"«»„？！。，；：.!?]+(?!\d)|,(?!\d)")


class Term(NamedTuple):
    """A content word of a clause; a character of a script without spaces."""

    lemma: str
    start: int  # in the passage
    end: int
    capitalised: bool
    dense: bool

    @property
    def weight(self) -> float:
        """How much a claim that lacks this term in its evidence says that the evidence does not."""
        return 0.0 if is_light(self.lemma) else 1.0


class Clause(NamedTuple):
    """A part of a sentence with one statement."""

    text: str
    start: int  # in the passage
    end: int
    sentence: int  # number of its sentence in the passage
    language: str
    terms: tuple[Term, ...]  # content words outside quantities
    is_question: bool
    words: str  # the text without dates: May is a month here
    values: frozenset[float]  # of its quantities, without one

    @property
    def is_negated(self) -> bool:
        """Whether the clause denies something."""
        return is_negated(self.words, self.language)

    def has(self, table: str) -> bool:
        """Return whether the clause contains a word of a table of `claim_words`."""
        return bool(find_words(table, self.words, self.language))


class Passage(NamedTuple):
    """A text divided into sentences and clauses."""

    text: str
    sentences: tuple[str, ...]
    starts: tuple[int, ...]  # of the sentences, in the text
    languages: tuple[str, ...]
    clauses: tuple[Clause, ...]

    def window(self, sentence: int, reach: int = REACH) -> list[Clause]:
        """Return the clauses of a sentence and of its neighbours."""
        return [clause for clause in self.clauses if abs(clause.sentence - sentence) <= reach]


def read_passage(sentences: Sequence[str], language: str | None = None) -> Passage:
    """Divide sentences into clauses. Each sentence has its own language; where nothing tells, that of the whole."""
    return _read(tuple(sentences), language)


@lru_cache(maxsize=256)
def _read(sentences: tuple[str, ...], language: str | None) -> Passage:
    text, starts = "", []
    for sentence in sentences:
        starts.append(len(text))
        text += f"{sentence} "
    whole = language or language_of(text) or "en"
    languages = [language or language_of(sentence) or whole for sentence in sentences]
    quantities = find_quantities(text)
    clauses = [
        clause
        for number, (sentence, start, of_sentence) in enumerate(zip(sentences, starts, languages, strict=True))
        for clause in _clauses(sentence, start, number, of_sentence, quantities)
    ]
    return Passage(text, tuple(sentences), tuple(starts), tuple(languages), tuple(clauses))


def _clauses(sentence: str, start: int, number: int, language: str, quantities: Sequence[Quantity]) -> Iterator[Clause]:
    is_question = sentence.rstrip('"”» ').endswith(("?", "？"))
    terms = list(_terms(sentence, start, language, quantities))
    within = {place - start for quantity in quantities for place in range(quantity.start + 1, quantity.end)}
    cuts = sorted({0, len(sentence), *(cut for cut in _cuts(sentence, language) if cut not in within)})
    for first, last in pairwise(cuts):
        own = tuple(term for term in terms if start + first <= term.start < start + last)
        if sentence[first:last].strip():
            words = _without_dates(sentence[first:last], start + first, quantities)
            inside = [q for q in quantities if start + first <= q.start < start + last]
            values = frozenset(q.value for q in inside if q.value != 1)
            place = (start + first, start + last)
            yield Clause(sentence[first:last], *place, number, language, own, is_question, words, values)


def _without_dates(text: str, start: int, quantities: Sequence[Quantity]) -> str:
    for quantity in quantities:
        if quantity.kind in ("date", "month"):
            first, last = max(quantity.start - start, 0), max(quantity.end - start, 0)
            text = text[:first] + " " * len(text[first:last]) + text[last:]
    return text


def _cuts(sentence: str, language: str) -> Iterable[int]:
    yield from (match.end() for match in _PUNCTUATION.finditer(sentence))
    yield from (match.start() for match in find_words("split", sentence, language))


# Function words that decide what is said: who says so to whom, and on which side.
_TELLING = frozenset("say says said tell tells told against contra gegen contre".split())
_HANDLED = ("negation", "hedge", "universal", "only", "never", "partial", "certain", "cause")


def _terms(sentence: str, start: int, language: str, quantities: Sequence[Quantity]) -> Iterator[Term]:
    """Yield the content words that no other check looks at."""
    handled = [match.span() for table in _HANDLED for match in find_words(table, sentence, language)]
    handled += [(quantity.start - start, quantity.end - start) for quantity in quantities]
    for token in _content(sentence, language):
        if not any(first <= token.start < last for first, last in handled):
            capitalised = sentence[token.start : token.start + 1].isupper()
            yield Term(token.term, start + token.start, start + token.end, capitalised, token.dense)


def _content(sentence: str, language: str) -> list[Token]:
    """Return the content words, and the function words that matter."""
    # `content_tokens` keeps function words if there is nothing else: the added word prevents that.
    content = content_tokens(f"{sentence} subject", language)[:-1]
    telling = [token for token in tokenize(sentence) if token.word in _TELLING]
    return sorted({*content, *telling}, key=lambda token: token.start)


def has_content(text: str) -> bool:
    """Return whether a text has a word or a quantity that says something."""
    return bool(find_quantities(text)) or any(term.weight for clause in read_passage([text]).clauses for term in clause.terms)


def names_in(passages: Iterable[Passage]) -> set[str]:
    """Return the lemmas of words that are written as names: with a capital where a common word has none."""
    return {term.lemma for passage in passages for term in _names(passage)}


def _names(passage: Passage) -> Iterator[Term]:
    for clause in passage.clauses:
        if clause.language in ("en", "es", "fr"):
            first = passage.starts[clause.sentence]
            for term in clause.terms:
                opening = not re.search(r"\w", passage.text[first : term.start])
                follows = re.match(r"[\s.]{1,2}[^\W\d_a-zà-ÿ]", passage.text[term.end :])
                if term.capitalised and (not opening or follows):
                    yield term
