"""Find the quantities of a text: numbers in words and digits, with units, money, percentages, dates and clock times.

Values are normalised, so that "8 km" and "eight kilometres" compare as equal; units are not converted into each other.
Languages: English, German, Spanish, French and Chinese.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from rankvideo_rag.text.dates import Part, QuantityKind, find_dates
from rankvideo_rag.text.digits import Digits, write_digits
from rankvideo_rag.text.languages import language_of
from rankvideo_rag.text.sentences import sentence_ranges
from rankvideo_rag.text.units import UNIT, find_unit


class Quantity(NamedTuple):
    """A quantity and its place in the text.

    `value` by kind: a number, ordinal, amount or percentage itself; fraction: from 0 to 1; date: month * 100 + day (719 is 19
    July; its year is a quantity of its own); month: 1-12; weekday: 1 (Monday) to 7; decade: its first year; time: minutes after
    midnight, up to 719 where the half of the day is not known. `unit`: the canonical name of a unit, "am" or "pm" of a time
    where it is known, the code itself (a part number), else empty.
    """

    kind: QuantityKind
    value: float
    unit: str
    start: int
    end: int


_NUMBER = r"(?:\d{1,3}(?:(?:[.,'’\u202f\u00a0]\d{3})+| 000)(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)?)"
_TIMES = {
    "hundred": 100, "hundert": 100, "thousand": 1000, "tausend": 1000, "mil": 1000, "mille": 1000, "k": 1000, "万": 10_000,
    "million": 1e6, "millionen": 1e6, "millón": 1e6, "millones": 1e6, "millions": 1e6, "m": 1e6, "mn": 1e6, "亿": 1e8,
    "billion": 1e9, "milliarde": 1e9, "milliarden": 1e9, "milliard": 1e9, "milliards": 1e9, "bn": 1e9, "dozen": 12,
}  # fmt: skip
_TIMES_WORDS = "|".join(name for name in _TIMES if name not in ("m", "k"))
_HALVES = {
    "half": 0.5, "quarter": 0.25, "third": 1 / 3, "media": 0.5, "medio": 0.5, "cuarto": 0.25, "demi": 0.5, "demie": 0.5,
    "½": 0.5, "¼": 0.25, "¾": 0.75, "半": 0.5,
}  # fmt: skip
_HALF = (
    r"(?: and (?:a|one|1) (?P<half>half|quarter|3th|third)\b|"
    r" (?:y|et) (?P<medio>media|medio|cuarto|demie?)\b|\s?(?P<sign>[½¼¾]))"
)
_UNSIGNED = rf"(?P<number>{_NUMBER})(?:\s?(?P<times>(?i:{_TIMES_WORDS}))(?![a-z]))?"
_START = r"(?<![.,])(?<![^\W\u3400-\u9fff])"  # not within a word: Chinese has no spaces
_SIGNED = rf"(?=[-−\dm]){_START}(?P<minus>minus |[-−](?=\d))?{_UNSIGNED}"
_AMOUNT = rf"{_SIGNED}{_HALF}?"
_DENOMINATORS = {
    "half": 2, "halves": 2, "hälfte": 2, "mitad": 2, "moitié": 2, "third": 3, "thirds": 3, "drittel": 3, "tercio": 3,
    "tercios": 3, "tiers": 3, "quarter": 4, "quarters": 4, "viertel": 4, "quart": 4,
    "quarts": 4, "cuarta parte": 4, "fifths": 5,
    "fünftel": 5, "quinto": 5, "cinquième": 5, "tenths": 10, "zehntel": 10,
}  # fmt: skip
_DECADES = {
    name: 1900 + 10 * tens
    for tens, name in enumerate("twenties thirties forties fifties sixties seventies eighties nineties".split(), 2)
}
_ROMAN = {"I": 1, "V": 5, "X": 10}


@lru_cache(maxsize=4096)
def find_quantities(text: str, language: str | None = None) -> tuple[Quantity, ...]:
    """Return the quantities of a text in order; none overlap, except that a full date is a date and a year.

    Args:
        text: any text; number words are read by the language of their sentence.
        language: "en", "de", "es", "fr" or "zh"; None: guessed from function words.

    >>> [(q.kind, q.value, q.unit) for q in find_quantities("It has eight kilometres, open from a quarter past four.")]
    [('measure', 8.0, 'km'), ('time', 255.0, '')]
    >>> [(q.kind, q.value) for q in find_quantities("Saturday the nineteenth of July, 1998")]
    [('weekday', 6.0), ('date', 719.0), ('year', 1998.0)]
    """
    digits = _write_digits(text, language)
    known = language or language_of(text) or "en"
    taken = bytearray(len(digits.text) + 1)
    found = []
    for start, end, parts in _candidates(digits, text, known):
        if not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            place = digits.starts[start], digits.ends[end - 1]
            found += [Quantity(part.kind, float(part.value), part.unit, *place) for part in parts]
    return tuple(sorted(found, key=lambda quantity: quantity.start))


_Candidate = tuple[int, int, list[Part]]


def _candidates(digits: Digits, source: str, language: str) -> Iterator[_Candidate]:
    """Yield what may be a quantity: the most specific patterns first."""
    yield from _codes(digits)
    text = digits.text
    yield from find_dates(text, language)
    has_digits = any(map(str.isdigit, text))
    for pattern, read in _RULES:
        if not has_digits and read is not _fraction and r"\d" in pattern.pattern:
            continue
        for match in pattern.finditer(text):
            if parts := read(match, language, digits):
                yield match.start(), match.end(), parts


_CODE = re.compile(r"\b(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\b", re.ASCII)
_NO_CODE = re.compile(rf"\d[\d.,]*(?:st|nd|rd|th|s|er|e|k|bn)$|\d[\d.,]*-?{UNIT}$|\d[\d-]*[a-z][a-z-]+$", re.ASCII)


def _codes(digits: Digits) -> Iterator[_Candidate]:
    """Yield part numbers and the like: letters and figures in one word, as written."""
    for match in _CODE.finditer(digits.text):
        written = digits.ends[match.end() - 1] - digits.starts[match.start()] == len(match[0])
        if written and not _NO_CODE.match(match[0]) and not re.fullmatch(r"\d+h\d*", match[0]):
            yield match.start(), match.end(), [Part("code", 0.0, match[0].casefold().replace("-", ""))]


def read_number(text: str, language: str = "en") -> float:
    """Return a number written in digits: a comma or full stop before three digits groups thousands, else it is decimal.

    >>> read_number("38,500"), read_number("1.260,5"), read_number("2,5"), read_number("2.500"), read_number("2.500", "de")
    (38500.0, 1260.5, 2.5, 2.5, 2500.0)
    """
    text = re.sub(r"['’ \u202f\u00a0]", "", text)
    if "," in text and "." in text:
        group = "," if text.rfind(".") > text.rfind(",") else "."
        return float(text.replace(group, "").replace(",", "."))
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", text) and (language not in ("de", "es", "fr") or text.count(",") > 1):
        return float(text.replace(",", ""))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+", text) and (
        language in ("de", "es", "fr") or text.count(".") > 1 or text.endswith("000")
    ):
        return float(text.replace(".", ""))
    return float(text.replace(",", "."))


def _amount(match: re.Match[str], language: str) -> float:
    groups = match.groupdict()
    value = read_number(match["number"], language) * _TIMES.get((groups.get("times") or "").casefold(), 1)
    half = (groups.get("half") or groups.get("medio") or groups.get("sign") or "").replace("3th", "third")
    value += _HALVES.get(half, 0.0)
    return -value if groups.get("minus") else value


def _with_unit(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
    kind, unit = find_unit(match["unit"])
    value = _amount(match, language)
    groups = match.groupdict()
    if groups.get("rate"):
        unit = f"{unit}/{find_unit(groups['rate'])[1]}"
    if groups.get("after") or "个半" in match[0]:
        value += 0.5
    parts = [Part(kind, value, unit)]
    if groups.get("first"):
        parts.insert(0, Part(kind, read_number(groups["first"], language), unit))
    if groups.get("minor"):
        return [Part(kind, value + int(groups["minor"]) / 100, unit)] if kind == "money" else []
    return parts


def _bare(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
    value, text = _amount(match, language), match["number"]
    plain = text.isdigit() and not any(match.groupdict().get(name) for name in ("times", "half", "medio", "sign", "minus"))
    spelled = digits.ends[match.end() - 1] - digits.starts[match.start()] != len(match[0])
    dated = not spelled or _YEAR_BEFORE.search(match.string, 0, match.start())
    return [Part("year" if plain and dated and len(text) == 4 and 1000 <= value < 2100 else "number", value)]


_YEAR_BEFORE = re.compile(r"\b(?:in|since|until|by|year|im Jahr|seit|bis|en|desde|depuis|de)\s+$")


def _spelled_year(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
    spelled = digits.ends[match.end() - 1] - digits.starts[match.start()] > len(match[0]) + 4
    return [Part("year", int(match[1]) * 100 + int(match[2]))] if spelled else []


def _fraction(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
    below = match["below"].casefold()
    denominator = _DENOMINATORS.get(below) or int(re.sub(r"\D", "", below) or 0)
    over = match["over"] or "1"
    numerator = int(over) if over.isdigit() else 1
    return [Part("fraction", numerator / denominator)] if denominator > 1 and numerator <= denominator else []


def _article(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
    kind, unit = find_unit(match["unit"])
    half = match.groupdict().get("halved")
    value = 0.5 if half else 1.5 if match.groupdict().get("more") else 1.0
    return [Part(kind, value, unit)] if kind == "duration" or value != 1 else []


def _century(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
    number = match[1]
    if number.isdigit():
        return [Part("century", int(number))]
    values = [_ROMAN[letter] for letter in number.upper()]
    return [Part("century", sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True)))]


def _decade(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
    if match[1].casefold() in _DECADES:
        return [Part("decade", _DECADES[match[1].casefold()])]
    year = int(match[1])
    return [Part("decade", year if year > 100 else 1900 + year)] if year % 10 == 0 else []


def _one(
    kind: QuantityKind, value: Callable[[float], float] = lambda value: value, unit: str = ""
) -> Callable[..., list[Part]]:
    def read(match: re.Match[str], language: str, digits: Digits) -> list[Part]:
        return [Part(kind, value(read_number(match[1], language)), unit)]

    return read


_RANGE = r"\s*(?:to|-|–|and|or|bis|und|oder|a|y|o|à|et|ou|到|至)\s*"
_SPACE = r"(?:\s|-|\u00a0|\u202f)?"
_RATE = rf"(?:(?: (?:an?|per|each|every|pro|im|por|al?|par|la) (?=\w{{3}})|/|每)(?P<rate>{UNIT}))?"
_UNIT = rf"(?P<unit>{UNIT})"
_DURATION_ARTICLE = r"(?:a|an|eine?[nrms]?|una?|une|one|1|each|half a|)"
_Reader = Callable[[re.Match[str], str, Digits], list[Part]]
_RULES: list[tuple[re.Pattern[str], _Reader]] = [
    (re.compile(r"\b(\d{1,2})(?:th|st|nd|rd|\.|e|ème|er)[ -](?:century|centuries|Jahrhunderts?|siècle)\b", re.I), _century),
    (re.compile(r"\bsiglo ([XVI]+|\d+)\b", re.I), _century),
    (re.compile(r"\b([XVI]+)e siècle\b"), _century),
    (re.compile(r"(\d{1,2})世纪"), _century),
    (re.compile(rf"\b({'|'.join(_DECADES)})\b", re.I), _decade),
    (re.compile(rf"{_START}['’]?(\d{{4}}|\d0)(?:['’]?s\b|er\b|年代|er[ -]Jahren?\b|er-Jahren?\b)"), _decade),
    (re.compile(r"百分之(\d+(?:\.\d+)?)"), _one("percent", unit="percent")),
    (
        re.compile(r"(\d)(?:\.(\d))?折"),
        lambda m, lang, d: [Part("percent", 100 - 10 * float(f"{m[1]}.{m[2] or 0}"), "percent")],
    ),
    (re.compile(r"(\d)(\d)折"), lambda m, lang, d: [Part("percent", 100 - int(m[1] + m[2]), "percent")]),
    (re.compile(r"(\d)成"), _one("percent", lambda value: value * 10, "percent")),
    (re.compile(r"(?P<below>\d+)分之(?P<over>\d+)"), _fraction),
    (re.compile(r"1半|一半()"), lambda m, lang, d: [Part("fraction", 0.5)]),
    (
        re.compile(
            r"\b(?:(?P<over>an?|one|\d+|eine?|die|der|un|una|la)[ -])(?P<below>"
            + "|".join(_DENOMINATORS)
            + r"|\d+ths?)\b(?= (?:of|der|des|de|d['’]))",
            re.I,
        ),
        _fraction,
    ),
    (re.compile(r"\b(?P<below>half)(?P<over>) (?:of )?the\b", re.I), _fraction),
    (re.compile(rf"(?P<unit>[£€$¥])\s?{_UNSIGNED}(?P<after>)"), _with_unit),
    (re.compile(rf"{_SIGNED}\s?{_UNIT}(?:,? )(?P<minor>\d\d)\b(?!\s?(?:%|{UNIT}|[.,]\d))"), _with_unit),
    (re.compile(rf"{_SIGNED}个半(?P<after>){_UNIT}"), _with_unit),
    (re.compile(r"(?<!\d)(\d{4})年"), _one("year")),
    (re.compile(rf"{_START}(?P<first>{_NUMBER}){_RANGE}{_AMOUNT}{_SPACE}{_UNIT}"), _with_unit),
    (re.compile(rf"{_AMOUNT}(?:个)?{_SPACE}{_UNIT}(?P<after> and a half\b| y medi[oa]\b| et demie?\b|半)?{_RATE}"), _with_unit),
    (re.compile(rf"\b(?P<halved>half an?|ein(?:e|en)? halbe[ns]?|medi[oa]|une? demi[e-]?)[ -]?{_UNIT}", re.I), _article),
    (
        re.compile(rf"半(?P<halved>)个?{_UNIT}"),
        lambda m, lang, d: [Part(find_unit(m["unit"])[0], 0.5, find_unit(m["unit"])[1])],
    ),
    (
        re.compile(
            r"(?<!once )(?<!twice )(?<!times )\b(?:an?|one|eine?[nmr]?|una?|une)\s+(?!second\b|segundo\b)"
            rf"{_UNIT}(?P<more> and a half\b| y media\b| et demie?\b)?",
            re.I,
        ),
        _article,
    ),
    (re.compile(r"\b(1[1-9]|20)[ -](\d\d)\b(?![.,]?\d)"), _spelled_year),
    (re.compile(rf"{_START}(\d+)(?:st|nd|rd|th|º|ª|er|ère|ème|e)\b"), _one("ordinal")),
    (re.compile(r"第(\d+)"), _one("ordinal")),
    (
        re.compile(r"\b(?:a|half a) (?P<times>dozen)\b", re.I),
        lambda m, lang, d: [Part("number", 6 if "half" in m[0].lower() else 12)],
    ),
    (re.compile(rf"{_AMOUNT}"), _bare),
]


def _write_digits(text: str, language: str | None) -> Digits:
    """Write number words as digits, each sentence in its own language."""
    whole = language or language_of(text)
    parts, place = [], 0
    for end in [*(end for _, end in sentence_ranges(text)[:-1]), len(text)]:
        piece = text[place:end]
        parts.append((place, write_digits(piece, language or language_of(piece) or whole)))
        place = end
    return Digits(
        "".join(part.text for _, part in parts),
        [at + start for at, part in parts for start in part.starts],
        [at + end for at, part in parts for end in part.ends],
    )
