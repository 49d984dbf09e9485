"""Rewrite the citation styles that language models use as `[1]`, `[1, 3]` or `[1 @ 00:05-00:09]`.

Read are (1), [^1], [Source 1], (see 1), 【1】, 【1†source】, [1-2], [1][2], ^1^, superscripts, and times after the number. Not
citations are years, numbers before a unit or a noun, and the numbers of a list at the start of a line.
"""

import re

MAX_NUMBER = 99  # of a citation that is not in square brackets: larger ones are years and amounts
_MAX_RANGE = 20
_LABEL = (
    r"(?:see |cf\.? |siehe |vgl\.? |voir |véase |ver )?"
    r"(?:(?:sources?|evidence|clips?|citations?|refs?\.?|references?|excerpts?|passages?|documents?|docs?|quellen?|belege?"
    r"|ausschnitte?|preuves?|extraits?|fuentes?|evidencias?|fragmentos?|来源|证据|片段)\s*(?:no\.?|#|nr\.?)?\s*:?\s*)?#?"
)
_ITEM = r"\d{1,6}"
_LIST = rf"{_ITEM}(?:\s*(?:,|;|&|and|und|y|et|、|，|-|–|—)\s*(?:{_LABEL})?{_ITEM})*"
_TIME = r"(?:\d+:)?\d{1,3}:\d{2}(?:\.\d+)?"
_TIMES = rf"(?:\s*(?:@|at|,)\s*(?P<times>{_TIME}(?:\s*[-–]\s*{_TIME})?))?"
_SQUARE = re.compile(rf"\[\^?\s*{_LABEL}(?P<list>{_LIST}){_TIMES}\s*\]", re.IGNORECASE)
_LENTICULAR = re.compile(rf"【\s*{_LABEL}(?P<list>{_LIST}){_TIMES}(?:\s*†[^【】]*)?\s*】", re.IGNORECASE)
# A number alone in round brackets is a citation after a word, not at the start of a line, where it numbers a list.
_ROUND = re.compile(rf"(?<=[^\s(])(?P<space>\s?)[(（]\s*(?P<label>{_LABEL})(?P<list>{_LIST}){_TIMES}\s*[)）]", re.IGNORECASE)
_ROUND_LABEL = re.compile(rf"^[(（]\s*(?!\d)(?P<label>{_LABEL})(?P<list>{_LIST}){_TIMES}\s*[)）]", re.IGNORECASE)
_CARET = re.compile(r"\^\[?(?P<list>\d{1,2}(?:\s*,\s*\d{1,2})*)\]?\^|(?:(?<=[^\W\d_])|(?<=[.!?”\"]))\^(?P<one>\d{1,2})\b")
_SUPERSCRIPT = re.compile(r"(?:(?<=[^\W\d_]{3})|(?<=[.!?。！？”\"»)]))[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}(?:[⁾,⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})*")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RANGE = re.compile(r"(\d+)\s*[-–—]\s*(\d+)")


def normalize_citations(text: str) -> str:
    """Return a text whose citations are all written as `[1]`.

    >>> normalize_citations("At nine (1), in 2019 (2019).【2†source】 Then¹ [Source 3] [^4] [1-3] (see 2).")
    'At nine [1], in 2019 (2019).[2] Then[1] [3] [4] [1, 2, 3] [2].'
    """
    text = _LENTICULAR.sub(_square, _SQUARE.sub(_square, text))
    text = _CARET.sub(lambda match: f"[{match['list'] or match['one']}]", text)
    text = _SUPERSCRIPT.sub(lambda match: f"[{', '.join(re.findall(r'[0-9]+', match[0].translate(_DIGITS)))}]", text)
    return _ROUND_LABEL.sub(_round, _ROUND.sub(_round, text))


def _square(match: re.Match[str]) -> str:
    times = f" @ {match['times']}" if match["times"] else ""
    return f"[{', '.join(_numbers(match['list']))}{times}]"


def _round(match: re.Match[str]) -> str:
    numbers = _numbers(match["list"])
    if not match["label"].strip() and any(number.startswith("0") or int(number) > MAX_NUMBER for number in numbers):
        return match[0]
    return f"{match.groupdict().get('space') or ''}{_square(match)}"


def _numbers(listed: str) -> list[str]:
    """Return the numbers of a list: "1-3, 5" as 1, 2, 3, 5. A range that is long or turned round stays as its ends."""
    return re.findall(r"\d+", _RANGE.sub(_expand, listed))


def _expand(match: re.Match[str]) -> str:
    first, last = int(match[1]), int(match[2])
    inside = range(first, last + 1) if 0 < last - first < _MAX_RANGE else (first, last)
    return ", ".join(map(str, inside))
