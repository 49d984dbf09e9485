"""Split text into tokens, in any script. The full-text index, questions, answers and the checks of claims use this definition.

- Scripts with spaces (Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, …): a word is a run of letters, marks and digits.
- Scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar), and Hangul, whose particles are attached to words: every
  character is a token, and adjacent characters of a question must be adjacent in the text. Character bigrams retrieve Chinese
  and Korean as well as dictionary words (Nie, Gao, Zhang and Zhou, IRAL 2000; Lee and Ahn, SIGIR 1996). With single characters
  in the index, a question of one character finds its words too. Thai, Lao, Khmer and Myanmar use clusters of a letter with its
  marks (Theeramunkong et al., IRAL 2000).
- All scripts: NFKC, case folding, digits as 0-9. Accents of Latin, Greek and Cyrillic and vowel points of Arabic and Hebrew are
  removed. In Arabic, tatweel and articles with their prefixes are removed (Light10: Larkey, Ballesteros and Connell 2007), and
  forms of hamza and alef and the Persian and Urdu variants of letters are unified.
- Stemming: Snowball, by script, because a term must not depend on the text around it: the English stemmer for Latin words, the
  Russian for Cyrillic, the Hindi for Devanagari. Irregular English forms have the stem of their base form.

Not done: traditional and simplified Han stay different.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from rankvideo_rag.text.irregular_forms import BASE_FORMS

# Optional combining marks (accents, Hebrew and Arabic points, the nukta of Indic scripts), and invisible characters, which
# stored text no longer has but questions may have.
_OPTIONAL = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u093c\u09bc"
    "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_VARIANTS = str.maketrans(
    {
        **dict.fromkeys("ٱ", "ا"),
        **dict.fromkeys("ىیے", "ي"),
        **dict.fromkeys("ةہھە", "ه"),
        "ک": "ك",
        "ँ": "ं",
        **{"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "þ": "th", "ð": "d"},
    }
)
_ARABIC_ARTICLE = re.compile("^(?:[وبكف]?ال|لل)(?=[\u0621-\u064a]{2})")

# Letters and marks of the scripts that are indexed by character.
_PREPOSED = "\u0e40-\u0e44\u0ec0-\u0ec4"  # Thai and Lao vowels written before their consonant
_FOLLOWING = "\u0e30\u0e32\u0e45\u0eb0\u0eb2"  # and after it
_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d"
    "\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b6-\u17d3\u17dd\u3099\u309a"
)
_STACKERS = "\u1039\u17d2"  # Myanmar and Khmer: the next consonant is below this one
_DENSE = (
    "\u0e01-\u0e2e\u0e30-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u109d\u1100-\u11ff\u1780-\u17d3\u17dc\u17dd"
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u303c\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9fe\uaa60-\uaa7f\uac00-\ud7af\uf900-\ufaff\U00016fe0-\U00018cff"
    "\U0001aff0-\U0001b2ff\U00020000-\U0003ffff"
)
_CLUSTER = re.compile(f"[{_PREPOSED}]?[^{_PREPOSED}{_MARKS}](?:[{_STACKERS}][^{_MARKS}]|[{_MARKS}])*[{_FOLLOWING}]?|.")
_ASCII_OR_NOT = re.compile(r"[\x00-\x7f]+(?![^\x00-\x7f])|[\x00-\x7f]?[^\x00-\x7f]+")  # marks stay with their letter
# A run of characters of one kind. Python's \w lacks marks and includes the underscore.
_RUN = re.compile(rf"(?P<dense>[{_DENSE}]+)|[^{_DENSE}\s]+")
_STEMMERS = (
    (re.compile("[a-z]+"), "english"),
    (re.compile("[\u0430-\u044f]+"), "russian"),
    (re.compile("[\u0900-\u097f]+"), "hindi"),
)


class _Spaced(dict[int, int]):
    """A table for `str.translate` that replaces what is no letter, mark or number by a space."""

    def __missing__(self, character: int) -> int:
        self[character] = character if unicodedata.category(chr(character))[0] in "LMN" else ord(" ")
        return self[character]


_SPACED = _Spaced()


class Token(NamedTuple):
    """A word, or a character of a script without spaces."""

    term: str  # normalised and stemmed, as the full-text index stores it
    start: int  # characters [start, end) of the text
    end: int
    dense: bool  # of a script without spaces
    word: str  # normalised, not stemmed


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a text, in order.

    >>> [token.term for token in tokenize("Das Café hieß «L’Œuvre», 清潔室 no. ٣")]
    ['das', 'cafe', 'hiess', 'l', 'oeuvr', '清', '潔', '室', 'no', '3']
    """
    folded, starts, ends = _fold_with_places(text)
    spaced = folded.translate(_SPACED)
    return [token for run in _RUN.finditer(spaced) for token in _tokens_of(run, starts, ends)]


def _tokens_of(run: re.Match[str], starts: Sequence[int], ends: Sequence[int]) -> Iterator[Token]:
    first = run.start()
    if not run["dense"]:
        word = _ARABIC_ARTICLE.sub("", run[0])
        yield Token(stem(word), starts[first], ends[run.end() - 1], False, word)
        return
    for cluster in _CLUSTER.finditer(run[0]):
        yield Token(cluster[0], starts[first + cluster.start()], ends[first + cluster.end() - 1], True, cluster[0])


def split_words(text: str) -> list[str]:
    """Return the normalised words of a text; single characters in scripts without spaces.

    >>> split_words("The Ferry, at 9"), split_words("渡船九点")
    (['the', 'ferry', 'at', '9'], ['渡', '船', '九', '点'])
    """
    return [token.word for token in tokenize(text)]


@lru_cache(maxsize=1 << 18)
def stem(word: str) -> str:
    """Return the stem of a normalised word; a word with digits and one of another script stay.

    >>> [stem(word) for word in ("rooms", "landing", "landed", "chose", "d40")]
    ['room', 'land', 'land', 'choos', 'd40']
    """
    for letters, algorithm in _STEMMERS:
        if letters.fullmatch(word):
            return str(_stemmer(algorithm).stemWord(BASE_FORMS.get(word, word)))
    return word


@lru_cache
def _stemmer(algorithm: str) -> Any:
    import snowballstemmer  # loads all of its 36 languages

    return snowballstemmer.stemmer(algorithm)


def _fold_with_places(text: str) -> tuple[str, Sequence[int], Sequence[int]]:
    """Return the text without differences of case, width, accents and variants; start and end of what each is from."""
    if text.isascii():
        return text.lower(), range(len(text)), range(1, len(text) + 1)
    folded: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for run in _ASCII_OR_NOT.finditer(text):
        if run[0].isascii():
            folded.append(run[0].lower())
            starts += range(run.start(), run.end())
            ends += range(run.start() + 1, run.end() + 1)
            continue
        for start, end in _characters(run):
            part = fold(text[start:end])
            folded.append(part)
            starts += [start] * len(part)
            ends += [end] * len(part)
    return "".join(folded), starts, ends


def _characters(run: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Return start and end of each character with the marks that belong to it."""
    begins = [place for place, c in enumerate(run[0], run.start()) if place == run.start() or not _continues(c)]
    return pairwise([*begins, run.end()])


@lru_cache(maxsize=1 << 16)
def _continues(character: str) -> bool:
    """Return whether a character belongs to the one before it: marks, half-width voiced marks, vowels and finals of Hangul."""
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff" or _OPTIONAL.match(character) is not None


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """Return text without differences of case, width, accents and letter variants: "Ｇrößé" as "grosse"."""
    bare = _OPTIONAL.sub("", unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()))
    text = unicodedata.normalize("NFC", bare).translate(_VARIANTS)
    return "".join(str(unicodedata.decimal(c, c)) if not c.isascii() else c for c in text)
