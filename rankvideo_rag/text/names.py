"""Find proper names in a text by their capital letters.

Scripts without capitals (Chinese, Japanese, Arabic, …) and captions in lower case give no names: what asks for a name cannot
be checked there. In German every noun has a capital, so that a name is known only by its company: two capitals in a row, a
title, a word like "namens", or a word with a figure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from rankvideo_rag.text.content import is_function_word
from rankvideo_rag.text.languages import language_of
from rankvideo_rag.text.tokens import fold

_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*\.?")
_JOINS = frozenset("of the de la le del da du van von der den di al el y und and 's".split())  # inside a name
_TITLES = frozenset(
    """mr mrs ms miss dr prof professor sir lady dame lord saint st captain king queen aunt uncle herr herrn frau
    doktor señor señora señorita don doña sr sra profesor profesora monsieur madame mademoiselle""".split()
)
_NAMED = re.compile(r"\b(?:called|named|namens|heißt|heisst|genannt|llamad[oa]|se llama|nommée?|s'appelle)\s*$", re.IGNORECASE)
# Words with a capital letter that are no names: days, months, languages, forms of address.
_COMMON = frozenset(
    """i i'm i've i'll i'd ok okay january february march april may june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday english german french spanish chinese british american
    montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz mai juni juli oktober dezember
    lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo junio julio agosto septiembre
    octubre noviembre diciembre sie ihr ihre ihnen usted""".split()
)
_STOPS = ".!?…。！？؟:"


class Name(NamedTuple):
    """A proper name in a text."""

    text: str
    start: int  # characters [start, end)
    end: int
    has_title: bool  # "Mrs Abernethy"


def find_names(text: str, language: str | None = None, *, known: Set[str] = frozenset()) -> list[Name]:
    """Return the proper names of a text, in order.

    A single word that begins a sentence, and in German any single noun, counts only if it is in `known`: words of names that
    were found elsewhere, folded.

    >>> [name.text for name in find_names("The panel chose Brightwell, says Mrs Sunniva Dahl of St Aldhelm's.")]
    ['Brightwell', "Mrs Sunniva Dahl of St Aldhelm's"]
    >>> [name.text for name in find_names("Im Moor führt uns heute Wiebke Holthusen über den Steg.")]
    ['Wiebke Holthusen']
    """
    language = language or language_of(text)
    words = list(_WORD.finditer(text))
    return [name for run in _runs(text, words) if (name := _name(text, run, language, known))]


def name_words(names: Iterable[Name]) -> frozenset[str]:
    """Return the words of names, folded, without titles and small words."""
    words = (fold(word[0].rstrip(".")).removesuffix("'s") for name in names for word in _WORD.finditer(name.text))
    return frozenset(word for word in words if word not in _JOINS and word not in _TITLES)


def _runs(text: str, words: Sequence[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Yield runs of words with capitals or figures, with small words that join two such words."""
    run: list[re.Match[str]] = []
    joins: list[re.Match[str]] = []
    for word in words:
        between = text[(joins or run)[-1].end() : word.start()] if run else ""
        bare = word[0].rstrip(".")
        adjacent = not between.strip() and not _ends_sentence((joins or run)[-1][0]) if run else False
        if run and adjacent and bare.casefold() in _JOINS and not bare[:1].isupper():
            joins.append(word)
            continue
        if _is_capital(bare):
            if run and not adjacent:
                yield run
                run = []
            run += [*(joins if run and len(joins) < 3 else []), word]
            joins = []
            continue
        if run:
            yield run
        run, joins = [], []
    if run:
        yield run


def _ends_sentence(word: str) -> bool:
    return word.endswith(".") and len(word) > 3


def _is_capital(word: str) -> bool:
    return (word[:1].isupper() and not (word.isupper() and len(word) > 12)) or (
        any(map(str.isdigit, word)) and any(c.isupper() for c in word)
    )


def _name(text: str, run: list[re.Match[str]], language: str | None, known: Set[str]) -> Name | None:
    starts_sentence = _starts_sentence(text, run[0].start())
    title = False
    while run:
        first = run[0][0].rstrip(".").casefold()
        if first in _TITLES and len(run) > 1:
            title = True
            break
        small = is_function_word(run[0][0].rstrip("."), language) or first in _COMMON or first.split("'")[0] in _COMMON
        if not (small or first in _JOINS):
            break
        run = run[1:]
        starts_sentence = starts_sentence and bool(run)
    if not run or all(fold(word[0].rstrip(".")) in _COMMON for word in run):
        return None
    start, end = run[0].start(), run[-1].end()
    found = text[start:end].rstrip(".")
    capitals = [word for word in run if word[0][:1].isupper()]
    found_words = name_words([Name(found, start, start + len(found), title)])
    alone = len(capitals) == 1 and not title and _is_plain(found) and not found_words <= known
    if not found_words or (alone and (starts_sentence or (language == "de" and not _NAMED.search(text[:start])))):
        return None
    return Name(found, start, start + len(found), title)


def _is_plain(word: str) -> bool:
    """Return whether a word has one capital, the first, and no figure: any noun may."""
    return not any(map(str.isdigit, word)) and not any(c.isupper() for c in word[1:])


def _starts_sentence(text: str, place: int) -> bool:
    before = text[:place].rstrip(" \"'“”„«»‘’‚([-–—¿¡>")
    return not before or before[-1] in _STOPS
