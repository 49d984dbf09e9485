"""What a text is about: its tokens without function words, and the terms of a question that a text contains."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rankvideo_rag.text import function_words
from rankvideo_rag.text.languages import language_of, word_set
from rankvideo_rag.text.tokens import Token, fold, stem, tokenize

_HIRAGANA = "\u3041-\u309f"
_APOSTROPHES = "'’ʼ＇"
_ENDINGS = frozenset("s t d ll re ve m".split())  # it's, don't, we'll
_ELISIONS = frozenset(
    "c d j l m n qu s t dell all nell sull dall quest quell un jusqu lorsqu puisqu dov cos com quand".split()
)  # l'eau, dell'arte


def content_tokens(text: str, language: str | None = None) -> list[Token]:
    """Return the tokens of a text without function words and words that ask; all of its tokens if none would be left.

    The language, a code such as "de", is recognised from the text by default.

    >>> [token.word for token in content_tokens("Where is the clean room with the telescope?")]
    ['clean', 'room', 'telescope']
    >>> [token.word for token in content_tokens("Wovon wird ein Hochmoor gespeist?")]
    ['hochmoor', 'gespeist']
    >>> [token.word for token in content_tokens("望远镜在哪里？")]
    ['望', '远', '镜']
    """
    tokens = tokenize(text)
    language = language or language_of(text)
    content = [t for group in _adjacent_groups(tokens) for t in _content_of_group(group, text, language)]
    return content or tokens


def phrases(tokens: Sequence[Token]) -> list[str]:
    """Return the terms of words, and pairs of adjacent characters of scripts without spaces, as phrases of the full-text index.

    >>> phrases(tokenize("clean 望遠鏡 猫"))
    ['clean', '望 遠', '遠 鏡', '猫']
    """
    found: list[str] = []
    for group in _adjacent_groups(tokens):
        found += [f"{a.term} {b.term}" for a, b in pairwise(group)] or [group[0].term]
    return found


def query_terms(question: str) -> list[str]:
    """Return what a question asks for: the distinct phrases of its content, in order."""
    return list(_query(question).terms)


def joined_terms(question: str) -> dict[str, tuple[str, str]]:
    """Return neighbouring words of a question written as one, each with the terms of the two.

    >>> joined_terms("Where is the clean room?")
    {'cleanroom': ('clean', 'room')}
    """
    return dict(_query(question).joined)


class _Query(NamedTuple):
    terms: tuple[str, ...]
    joined: dict[str, tuple[str, str]]


@lru_cache(maxsize=256)  # one question is compared with many texts
def _query(question: str) -> _Query:
    tokens = content_tokens(question)
    pairs = [(a, b) for a, b in pairwise(tokens) if not (a.dense or b.dense)]
    return _Query(tuple(dict.fromkeys(phrases(tokens))), {stem(a.word + b.word): (a.term, b.term) for a, b in pairs})


def text_terms(text: str) -> set[str]:
    """Return the phrases that a text contains: terms of words, single characters and pairs of them."""
    tokens = tokenize(text)
    return {token.term for token in tokens} | set(phrases(tokens))


def found_terms(question: str, text: str) -> dict[str, bool]:
    """Return each of a question's terms, and whether a text contains it. Two neighbours may be written as one word.

    >>> found_terms("Where is the clean room?", "one of the largest cleanrooms")
    {'clean': True, 'room': True}
    >>> found_terms("望远镜在哪里？", "望远镜放在洁净室里。")
    {'望 远': True, '远 镜': True}
    """
    contained = text_terms(text)
    asked = _query(question)
    joined = {term for word, pair in asked.joined.items() if word in contained for term in pair}
    return {term: term in contained or term in joined for term in asked.terms}


def _adjacent_groups(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the tokens in groups: adjacent characters of scripts without spaces together, each word alone."""
    groups: list[list[Token]] = []
    for token in tokens:
        if groups and token.dense and groups[-1][-1].dense and groups[-1][-1].end >= token.start:
            groups[-1].append(token)
        else:
            groups.append([token])
    return groups


def _content_of_group(group: Sequence[Token], text: str, language: str | None) -> Sequence[Token]:
    if not group[0].dense:
        return [] if _is_function_word(group[0], text, language) else group
    run = "".join(token.word for token in group)
    dropped = {place for first, last in _function_parts(run, language) for place in range(first, last)}
    ends = [0]
    for token in group:
        ends.append(ends[-1] + len(token.word))
    return [
        token for token, first, last in zip(group, ends, ends[1:], strict=False) if not dropped.issuperset(range(first, last))
    ]


def is_function_word(word: str, language: str | None) -> bool:
    """Return whether a word is a function word of a language: `und` of de."""
    return fold(word) in _words(language)


def _is_function_word(token: Token, text: str, language: str | None) -> bool:
    if token.word in _ENDINGS and token.start and text[token.start - 1] in _APOSTROPHES:
        return True
    if token.word in _ELISIONS and text[token.end : token.end + 1] in tuple(_APOSTROPHES):
        return True
    written = unicodedata.normalize("NFKC", text[token.start : token.end]).casefold()
    if token.word.isascii() and not written.isascii():
        return written in word_set(language)  # té is tea, te is not
    return token.word in _words(language)


@lru_cache
def _words(language: str | None) -> frozenset[str]:
    return frozenset(token.word for token in tokenize(function_words.WORDS.get(language or "", "")))


def _function_parts(run: str, language: str | None) -> Iterator[tuple[int, int]]:
    """Yield the spans [first, last) of function words in characters of one script without spaces."""
    for match in _patterns(language if language in ("ja", "ko", "th") else "zh").finditer(run):
        if match.lastgroup:
            yield match.span(match.lastgroup)


@lru_cache
def _patterns(language: str) -> re.Pattern[str]:
    words = function_words
    if language == "ja":
        return re.compile(f"(?P<drop>{_any(words.JAPANESE_ASKING)}|(?:{_any(words.JAPANESE)})+(?![{_HIRAGANA}]))")
    if language == "ko":
        endings = f"(?:{_any(words.KOREAN)})"
        return re.compile(f"^(?P<drop>(?:{_any(words.KOREAN_ASKING)}){endings}*)$|(?<=.)(?P<ending>{endings})$")
    if language == "th":
        return re.compile(f"(?P<drop>{_any(words.THAI)})")
    return re.compile(f"{_any(words.CHINESE_CONTENT)}|(?P<drop>{_any(words.CHINESE)}|{words.CHINESE_DEGREE})")


def _any(words: str) -> str:
    """Return an expression that matches the longest of some words."""
    return "|".join(sorted((fold(word) for word in words.split()), key=lambda word: (-len(word), word)))
