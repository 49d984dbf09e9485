"""Split text into sentences.

Sentences end at full stops of any script. A stop before a small letter is inside a sentence, so are stops of abbreviations,
initials, decimal numbers and German ordinals ("am 3. Mai").
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from rankvideo_rag.text.content import is_function_word
from rankvideo_rag.text.languages import language_of

_WIDE_STOPS = "。！？｡．।॥։۔؟።፧၊။។៕།༎꘎‼⁇⁈⁉︒"  # end a sentence without a space
STOPS = ".!?…" + _WIDE_STOPS
CLOSING = "\"'”’“‘»«›‹)]}」』）】》〉］｣♪"
_END = re.compile(rf"(?P<stops>[{re.escape(STOPS)}]+)(?P<closing>[{re.escape(CLOSING)}]*)(?P<space>\s*)")
_DENSE = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_OPENING = "\"'“‘«»([„‚"
_TITLES = frozenset(  # before a name
    """mr mrs ms messrs dr prof ste mt rev hon pres gov sen gen col maj capt cpt lt sgt cpl pvt insp supt hr fr frl sra srta dra
    ud uds vd vds mme mlle mgr sig dott ing avv dhr mevr drs ул им""".split()
)
_ABBREVIATIONS = frozenset(  # inside a sentence, or at its end
    """st sr jr fig figs vol vols nos nr pp eds vs cf approx ca bzw ggf evtl inkl zzgl str abb bd kap mio mrd tel sog vgl
    pág núm aprox av bijv руб тыс млн млрд стр""".split()
)
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")  # J  U.S  z.B
_NUMBERED = frozenset("no art".split())  # abbreviations before a number, words otherwise
_WORD = re.compile(r"\w+")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text.

    >>> split_sentences("Dr. J. Smith paid 3.5 million... in cash. 他说好。我们走。")
    ['Dr. J. Smith paid 3.5 million... in cash.', '他说好。', '我们走。']
    """
    return [text[start:end] for start, end in sentence_ranges(text)]


def sentence_ranges(text: str) -> list[tuple[int, int]]:
    """Return the characters [start, end) of each sentence, without the spaces around it."""
    capital = next((place for place, c in enumerate(text) if c.isupper()), len(text))
    ends = [match.end("closing") for match in _END.finditer(text) if _ends_sentence(match, text, capital < match.start())]
    return trim(text, [0, *ends, len(text)])


def trim(text: str, places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the characters [start, end) between places, without the spaces around them; none that are empty."""
    found = []
    for start, end in pairwise(places):
        part = text[start:end]
        if part.strip():
            found.append((start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())))
    return found


def _ends_sentence(match: re.Match[str], text: str, has_capitals: bool) -> bool:
    stops, closing, space = match.group("stops", "closing", "space")
    after = text[match.end() : match.end() + 100]
    if not after or "\n" in space:
        return True
    if any(stop in _WIDE_STOPS for stop in stops):
        return not (closing and not space and after.startswith(("と", "って")))
    if not space:
        return stops[-1] in "!?" and _DENSE.match(after) is not None
    if stops[-1] in "!?" and not closing:
        return True
    after_letter = text[match.start() - 1 : match.start()].isalnum()
    if after_letter and _first_letter(after).islower() and (has_capitals or stops.endswith(("..", "…"))):
        return False
    if stops.endswith(("..", "…")):
        return text[match.start() - 1 : match.start()] != " " and _first_word(after) != "I"
    if stops != "." or closing:
        return True
    return _full_stop_ends(text[max(match.start() - 100, 0) : match.start()], after)


def _full_stop_ends(before: str, after: str) -> bool:
    """Return whether a full stop between two texts ends a sentence: not after abbreviations, initials and ordinals."""
    word = "".join(before.split()[-1:]).lstrip(_OPENING)
    following = _first_word(after)
    if word.casefold() in _TITLES or (word.casefold() in _NUMBERED and following.isdigit()):
        return False
    if word.casefold() in ("a.m", "p.m"):
        return True
    if _INITIALS.fullmatch(word) or word.casefold() in _ABBREVIATIONS:
        return _begins_sentence(following, before + after)
    if word.isdigit() and len(word) <= 2:
        numbers_item = before[: -len(word)].rstrip()[-1:] in ("", *STOPS)
        return not numbers_item and (_begins_sentence(following, before + after) or language_of(before + after) != "de")
    return True


def _first_letter(text: str) -> str:
    return text.lstrip(" \"'“„«»‘‚([¿¡")[:1]


def _first_word(text: str) -> str:
    found = _WORD.search(text)
    return found[0] if found else ""


def _begins_sentence(word: str, text: str) -> bool:
    return word[:1].isupper() and is_function_word(word, language_of(text) or "en")
