"""Normalise text and questions for the full-text index, in any script.

FTS5's own tokenizer only splits at spaces and removes English endings (Porter): by itself it keeps a Chinese or Thai sentence
as one word and splits Hindi at every vowel sign.

- Scripts with spaces (Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, …): a word is a run of letters, marks and digits.
- Scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar), and Hangul, whose particles are attached to words: every
  character is a token, and adjacent characters of a question must be adjacent in the text. Character bigrams retrieve Chinese
  and Korean as well as dictionary words (Nie, Gao, Zhang and Zhou, IRAL 2000; Lee and Ahn, SIGIR 1996). With single characters
  in the index, a question of one character finds its words too. Thai, Lao, Khmer and Myanmar use clusters of a letter with its
  marks (Theeramunkong et al., IRAL 2000).
- All scripts: NFKC, case folding, digits as 0-9. Accents of Latin, Greek and Cyrillic and vowel points of Arabic and Hebrew are
  removed. In Arabic, tatweel and articles with their prefixes are removed (Light10: Larkey, Ballesteros and Connell 2007), and
  forms of hamza and alef and the Persian and Urdu variants of letters are unified.

Not done: traditional and simplified Han stay different, and only English is stemmed.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from rankvideo_rag.text import FUNCTION_WORDS

TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
MAX_PHRASES = 512  # of a question: FTS5 takes many seconds for the 2,000 phrases of a long Chinese question

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
# A run of characters of one kind. Python's \w lacks marks and includes the underscore.
_RUN = re.compile(f"(?P<dense>[{_DENSE}]+)|[^{_DENSE}]+")


class Run(NamedTuple):
    """A word, or the adjacent characters of a script without spaces."""

    tokens: tuple[str, ...]
    dense: bool


def normalize(text: str) -> str:
    """Return text as the full-text index stores it.

    >>> normalize("Das Café hieß «L’Œuvre», 清潔室 no. ٣")
    'das cafe hiess l oeuvre 清 潔 室 no 3'
    """
    return " ".join(token for run in _runs(text) for token in run.tokens)


def match_expression(question: str) -> str:
    """Return a question as an FTS5 expression: any of its words, joined neighbours (clean room, cleanroom) or character pairs.

    English function words count only if there is nothing else. Returns '' for a question without terms.

    >>> match_expression("Where is the clean room?")
    '"clean" OR "room" OR "cleanroom"'
    >>> match_expression("望遠鏡 猫")
    '"望 遠" OR "遠 鏡" OR "猫"'
    """
    runs = list(_runs(question))
    content = [run for run in runs if run.tokens[0] not in FUNCTION_WORDS] or runs
    words = [phrase for run in content for phrase in _phrases(run)]
    joined = [a.tokens[0] + b.tokens[0] for a, b in pairwise(content) if not (a.dense or b.dense)]
    return " OR ".join(f'"{phrase}"' for phrase in list(dict.fromkeys(words + joined))[:MAX_PHRASES])


def _phrases(run: Run) -> list[str]:
    return [" ".join(pair) for pair in pairwise(run.tokens)] or list(run.tokens)


def _runs(text: str) -> Iterator[Run]:
    for word in "".join(c if _is_word_character(c) else " " for c in _folded(text)).split():
        for match in _RUN.finditer(word):
            if match["dense"]:
                yield Run(tuple(_CLUSTER.findall(match[0])), dense=True)
            else:
                yield Run((_ARABIC_ARTICLE.sub("", match[0]),), dense=False)


def _is_word_character(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _folded(text: str) -> str:
    """Return the text without differences of case, width, accents and letter variants."""
    bare = _OPTIONAL.sub("", unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()))
    text = unicodedata.normalize("NFC", bare).translate(_VARIANTS)
    return "".join(str(unicodedata.decimal(c, c)) if not c.isascii() else c for c in text)
