"""Recognise the language of a short text: by its script, then by its function words and letters."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from rankvideo_rag.text.function_words import HOMOGRAPHS, WORDS

_LATIN = ("en", "de", "es", "fr", "it", "pt", "nl", "tr", "vi")
_LETTERS = {
    "de": "ßäöü",
    "es": "ñ¿¡",
    "fr": "œçêèëîïû",
    "pt": "ãõç",
    "tr": "ğışöüç",
    "vi": "ăđơư" + "".join(map(chr, range(0x1EA0, 0x1EFA))),
}
_LATIN_WORD = re.compile(r"[^\W\d_]+")
# A character of these scripts holds about as much as three letters.
_NOT_LATIN = re.compile("[\u0370-\u1dff\u3041-\ufeff\uff66-\uffdc\U00020000-\U0003ffff]")
_SCRIPTS = {
    "ja": (re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d]"), 6),
    "zh": (re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"), 3),
    "ko": (re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7af]"), 3),
    "th": (re.compile("[\u0e01-\u0e7f]"), 1),
    "ar": (re.compile("[\u0600-\u06ff]"), 1),
    "hi": (re.compile("[\u0900-\u097f]"), 1),
    "ru": (re.compile("[\u0400-\u052f]"), 1),
    "he": (re.compile("[\u0590-\u05ff]"), 1),
    "el": (re.compile("[\u0370-\u03ff]"), 1),
    "latin": (re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"), 1),
}


@lru_cache
def word_set(language: str | None) -> frozenset[str]:
    """Return the function words of a language as they are written; none for a language without a list."""
    return frozenset(unicodedata.normalize("NFC", WORDS.get(language or "", "")).split())


def language_of(text: str) -> str | None:
    """Return the language that a text seems to be in, as a code of two letters; None if nothing tells.

    A script used for several languages gives the one with most speakers here: Cyrillic ru, Arabic ar, Devanagari hi. Latin text
    needs a function word, or a letter, that is typical of one of en, de, es, fr, it, pt, nl, tr and vi.

    >>> [language_of(text) for text in ("Wovon wird ein Hochmoor gespeist?", "¿Dónde está el reloj?", "望远镜在哪里？", "D40")]
    ['de', 'es', 'zh', None]
    """
    if not _NOT_LATIN.search(text):
        return _latin_language(unicodedata.normalize("NFC", text).casefold())
    counts = {language: weight * len(pattern.findall(text)) for language, (pattern, weight) in _SCRIPTS.items()}
    script = max(counts, key=lambda name: counts[name])
    if script != "latin":
        return script if counts[script] else None
    return _latin_language(unicodedata.normalize("NFC", text).casefold())


def _latin_language(text: str) -> str | None:
    found = Counter(language for word in set(_LATIN_WORD.findall(text)) for language in _languages_of().get(word, ()))
    if not text.isascii():
        found.update(language for language, letters in _LETTERS.items() for letter in letters if letter in text)
    best = max(_LATIN, key=lambda language: found[language])
    return best if found[best] else None


@lru_cache
def _languages_of() -> dict[str, list[str]]:
    """Return function words, each with the languages that it is evidence for."""
    languages: dict[str, list[str]] = {}
    for language in _LATIN:
        for word in word_set(language) - (HOMOGRAPHS if language != "en" else frozenset()):
            languages.setdefault(word, []).append(language)
    return languages
