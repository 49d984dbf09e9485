"""Patterns of dates, weekdays, months, years and clock times in text whose number words are digits already."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

QuantityKind = Literal[
    "number", "ordinal", "fraction", "percent", "money", "measure", "duration", "date", "month", "weekday", "year", "decade",
    "century", "time", "code",
]  # fmt: skip

_MONTH_NAMES = """
January Jan Januar Jänner enero ene janvier janv
February Feb Februar febrero février févr
March Mar März marzo mars
April Apr abril abr avril
May Mai mayo mai
June Jun Juni junio juin
July Jul Juli julio juillet juil
August Aug agosto ago août
September Sep Sept septiembre setiembre septembre
October Oct Oktober Okt octubre octobre
November Nov noviembre novembre
December Dec Dezember Dez diciembre dic décembre déc
"""
_DAY_NAMES = """
Monday Montag lunes lundi
Tuesday Dienstag martes mardi
Wednesday Mittwoch miércoles miercoles mercredi
Thursday Donnerstag jueves jeudi
Friday Freitag viernes vendredi
Saturday Samstag Sonnabend sábado sabado samedi
Sunday Sonntag domingo dimanche
"""
_SHORT = frozenset("jan feb mar apr jun jul aug sep sept oct okt nov dec dez ene abr ago dic janv févr juil déc".split())
_AMBIGUOUS = frozenset({"may", "march", "mars", "august"})  # words of other meanings: they need a preposition, or a day


class Part(NamedTuple):
    """One value of what a pattern matched: see `Quantity`."""

    kind: QuantityKind
    value: float
    unit: str = ""


def _numbered(table: str) -> dict[str, int]:
    lines = table.strip().splitlines()
    return {name.casefold(): number for number, line in enumerate(lines, start=1) for name in line.split()}


_MONTHS, _DAYS = _numbered(_MONTH_NAMES), _numbered(_DAY_NAMES)
_MONTH = (
    rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b(?:(?<=\b\w{{3}})\.(?=,?\s*\d)(?<!\bmay\.)(?<!\bmai\.))?"
)
_YEAR = r"(?:,?\s*(?:de |del |of |in )?(?P<year>1\d{3}|20\d{2})\b(?![.,]?\d))?"
_SUFFIX = r"(?:st|nd|rd|th|er|\.|º)?"
_BETWEEN = r"\s*(?:to|-|–|until|bis|and|und|or|al|au|y|et)\s*(?:the |el |le |zum |dem )?"
_HALF_OF_DAY = (
    r"(?:\s*(?P<half>a\.?m\b\.?|p\.?m\b\.?|(?:in the|this|tomorrow|yesterday) (?:morning|afternoon|evening)|at night|tonight"
    r"|o['’]clock|Uhr|de la (?:mañana|tarde|noche)|du matin|de l['’]après-midi|du soir|morgens|vormittags|nachmittags|abends"
    r"|nachts|am (?:Morgen|Vormittag|Nachmittag|Abend)))?"
)
_AM = re.compile(r"a\.?m|morning|mañana|matin|[mM]org|ormittag", re.IGNORECASE)
_PM = re.compile(r"p\.?m|afternoon|evening|night|tarde|noche|après|soir|achmittag|bend", re.IGNORECASE)
_ENDS = r"(?=\s*(?:[.,;:!?)\]”\"»…]|$|(?:and|or|to|until|on|in|this|that|every|each|from|till|sharp|daily|tomorrow|y|und)\b))"

_RULES: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\b(?P<year>\d{4})-(?P<m>\d{2})-(?P<day>\d{2})\b"), "numeric"),
    (re.compile(r"\b(?P<day>\d{1,2})\.\s?(?P<m>1[0-2]|0?[1-9])\.\s?(?P<year>\d{4})?(?!\d)"), "numeric"),
    (re.compile(r"\b(?P<day>\d{1,2})/(?P<m>\d{1,2})/(?P<year>\d{4})\b"), "numeric"),
    (re.compile(r"(?:(?P<year>\d{4})年)?(?P<m>\d{1,2})月(?:(?P<day>\d{1,2})[日号])?"), "numeric"),
    (
        re.compile(
            rf"(?:\b(?P<from>\d{{1,2}}){_SUFFIX}{_BETWEEN})?\b(?P<day>\d{{1,2}}){_SUFFIX}\s*(?:of |de )?{_MONTH}{_YEAR}", re.I
        ),
        "named",
    ),
    (
        re.compile(
            rf"\b{_MONTH}\s+(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:.,]\d|\d)"
            rf"(?:{_BETWEEN}(?P<to>\d{{1,2}})\b)?{_YEAR}",
            re.I,
        ),
        "named",
    ),
    (re.compile(rf"\b{_MONTH}\s+(?:de |del )?(?P<year>\d{{4}})\b", re.I), "named"),
    (re.compile(rf"(?P<before>\b\w+\s+)?\b(?<!-){_MONTH}", re.I), "month"),
    (re.compile(rf"\b(?P<weekday>{'|'.join(_DAYS)})s?\b", re.I), "weekday"),
    (re.compile(r"(?:周|星期|礼拜)(?P<zh>[1-6日天末])"), "weekday"),
    (re.compile(rf"(?<![\d:.])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:]){_HALF_OF_DAY}", re.I), "clock"),
    (re.compile(r"(?<![\d:.])(?P<hour>\d{1,2})[.:](?P<minute>[0-5]\d)\s*(?P<half>[ap]\.?m\b\.?|Uhr)", re.I), "clock"),
    (re.compile(r"\b(?P<hour>\d{1,2})\s*Uhr\s*(?P<minute>[0-5]?\d)?\b" + _HALF_OF_DAY, re.I), "clock"),
    (re.compile(r"\b(?P<hour>\d{1,2})\s?h\s?(?P<minute>[0-5]\d)\b"), "clock"),
    (
        re.compile(r"\b(?P<hour>\d{1,2})\s*(?P<half>[ap]\.?m\b\.?|o['’]clock)" + _HALF_OF_DAY.replace("half", "half2"), re.I),
        "clock",
    ),
    (
        re.compile(
            rf"(?P<by>\b(?:quarter|half|Viertel))\s+(?P<way>past|to|after|before|vor|nach)\s+(?P<hour>\d{{1,2}})\b{_HALF_OF_DAY}",
            re.I,
        ),
        "relative",
    ),
    (
        re.compile(
            r"(?P<lead>\b(?:at|by|until|till|since|from|is|was|it['’]s|around|about|before|after|um|gegen|ab|bis|seit)\s+)?"
            r"\b(?P<by>\d{1,2})(?: minutes| Minuten)?\s+(?P<way>past|to|vor|nach)\s+(?P<hour>\d{1,2})\b(?![-.,]?\d)"
            + _HALF_OF_DAY,
            re.I,
        ),
        "relative",
    ),
    (re.compile(rf"\bhalb\s+(?P<german>\d{{1,2}})\b{_HALF_OF_DAY}", re.I), "relative"),
    (
        re.compile(
            r"\blas?\s+(?P<hour>\d{1,2})\b(?!\s+(?!menos\b)[a-zñ]+s\b)(?:\s+(?P<sign>y|menos)\s+(?P<by>cuarto|media|\d{1,2})\b)?"
            + _HALF_OF_DAY,
            re.I,
        ),
        "spanish",
    ),
    (
        re.compile(
            r"\b(?:à|vers|dès|jusqu['’]à)\s+(?P<hour>\d{1,2})\s?h(?:eures?)?\b"
            r"(?:\s+(?P<sign>et|moins)\s+(?:le )?(?P<by>quart|demie?|\d{1,2})\b)?" + _HALF_OF_DAY,
            re.I,
        ),
        "spanish",
    ),
    (
        re.compile(
            r"(?P<half>上午|早上|早晨|清晨|凌晨|下午|晚上|中午|半夜|夜里|傍晚|夜晚)?(?P<hour>\d{1,2})点"
            r"(?:钟|整|(?P<zhalf>半)|(?P<quarter>[13])刻|(?P<minute>[0-5]?\d)分?)?"
        ),
        "chinese",
    ),
    (
        re.compile(
            r"\b(?P<noon>noon|midday|midnight|Mitternacht|mediodía|medianoche|minuit|midi)\b(?P<half> et demie?\b)?", re.I
        ),
        "noon",
    ),
    (
        re.compile(r"\b(?:at|um)\s+(?P<hour>\d{1,2})\b(?![.,:]?\d|\s?%)(?:" + _HALF_OF_DAY[2:-2] + "|" + _ENDS + ")", re.I),
        "clock",
    ),
]
_WORD = re.compile(r"[^\W\d_]+")
_RULES_WITH_DIGITS = frozenset({"numeric", "named", "clock", "relative", "spanish", "chinese"})
# Patterns that are tried only where one of these words is in the text: most texts have none.
_NEEDED = {"named": set(_MONTHS), "month": set(_MONTHS), "weekday": set(_DAYS) | {f"{day}s" for day in _DAYS}}


def find_dates(text: str, language: str) -> Iterator[tuple[int, int, list[Part]]]:
    """Yield start, end and parts of each date and time, most specific patterns first; matches may overlap."""
    words = set(_WORD.findall(text.casefold()))
    absent = {kind for kind, names in _NEEDED.items() if words.isdisjoint(names)} if text.isascii() else set()
    if not any(map(str.isdigit, text)):
        absent |= _RULES_WITH_DIGITS
    for pattern, kind in _RULES:
        if kind in absent:
            continue
        for match in pattern.finditer(text):
            parts = _READERS[kind](match.groupdict(), match, language)
            if parts:
                start = match.start("month") if kind == "month" else match.start()
                if match.groupdict().get("lead"):
                    start = match.end("lead")
                yield start, match.end(), parts


_Groups = dict[str, str | None]


def _date(month: int, day: str | None, year: str | None) -> list[Part]:
    if not 1 <= month <= 12 or (day and not 1 <= int(day) <= 31):
        return []
    parts = [Part("date", month * 100 + int(day))] if day else [Part("month", month)]
    return [*parts, Part("year", int(year))] if year else parts


def _numeric(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    month, day = int(groups["m"] or 0), groups["day"]
    if month > 12 and day:  # 3/14/2021
        month, day = int(day), str(month)
    return _date(month, day, groups["year"])


def _named(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    month = _MONTHS[(groups["month"] or "").casefold()]
    found = _date(month, groups.get("day"), groups.get("year"))
    other = groups.get("from") or groups.get("to")
    return [*(_date(month, other, None) if found and other else []), *found]


def _month(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    name, before = groups["month"] or "", (groups["before"] or "").strip().casefold()
    in_time = before in (
        "in",
        "of",
        "since",
        "until",
        "by",
        "till",
        "last",
        "next",
        "early",
        "late",
        "mid",
        "im",
        "en",
        "de",
        "seit",
    )
    if name.casefold() in _SHORT:
        return []
    if not in_time and name[0].isupper() is (language in ("es", "fr")):  # Julio is a name, julio a month
        return []
    if name.casefold() in _AMBIGUOUS and language == "en" and not in_time:
        return []
    return [Part("month", _MONTHS[name.casefold()])]


def _weekday(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    if chinese := groups.get("zh"):
        return [] if chinese == "末" else [Part("weekday", 7 if chinese in "日天" else int(chinese))]
    return [Part("weekday", _DAYS[(groups["weekday"] or "").casefold()])]


def _time(minutes: int, half: str | None) -> list[Part]:
    """Return a time; where the half of the day is known, its minutes count from midnight."""
    if not 0 <= minutes <= 24 * 60:
        return []
    unit = "pm" if minutes >= 13 * 60 else ""
    if half and minutes < 13 * 60 and (found := "am" if _AM.search(half) else "pm" if _PM.search(half) else ""):
        minutes, unit = minutes % 720 + (720 if found == "pm" else 0), found
    return [Part("time", minutes % (24 * 60), unit)]


def _clock(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    half = groups.get("half2") or groups.get("half")
    hour, minute = int(groups["hour"] or 0), int(groups.get("minute") or 0)
    return _time(hour * 60 + minute, half) if hour <= 24 else []


def _relative(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    if german := groups.get("german"):
        return _time(int(german) * 60 - 30, groups["half"]) if 1 <= int(german) <= 12 else []
    by, hour = (groups["by"] or "").casefold(), int(groups["hour"] or 0)
    minutes = {"quarter": 15, "viertel": 15, "half": 30}.get(by) or int(by)
    numeric = by.isdigit()
    led = groups.get("lead") or groups["half"] or re.match(_ENDS, match.string[match.end() :])
    if not 1 <= hour <= 12 or (numeric and (minutes not in (5, 10, 20, 25) or not led)):
        return []
    later = groups["way"].casefold() in ("past", "after", "nach") if groups["way"] else False
    return _time((hour * 60 + (minutes if later else -minutes)) % 720, groups["half"])


def _spanish(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    by = {"cuarto": 15, "quart": 15, "media": 30, "demi": 30, "demie": 30}.get(groups["by"] or "") or int(groups["by"] or 0)
    hour = int(groups["hour"] or 0)
    if not 1 <= hour <= 24:
        return []
    return _time(hour * 60 + (-by if groups["sign"] in ("menos", "moins") else by), groups["half"])


def _chinese(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    minute = 30 if groups["zhalf"] else int(groups["quarter"] or 0) * 15 or int(groups["minute"] or 0)
    half, hour = groups["half"] or "", int(groups["hour"] or 0)
    if hour == 12 and half in ("半夜", "夜里", "晚上"):
        return [Part("time", minute, "am")]
    words = "am" if half in ("上午", "早上", "早晨", "清晨", "凌晨", "半夜", "夜里") else "pm" if half else ""
    return _time(hour * 60 + minute, words)


def _noon(groups: _Groups, match: re.Match[str], language: str) -> list[Part]:
    at_night = (groups["noon"] or "").casefold() in ("midnight", "mitternacht", "medianoche", "minuit")
    minutes = 30 if groups["half"] else 0
    return [Part("time", minutes, "am") if at_night else Part("time", 720 + minutes, "pm")]


_READERS = {
    "numeric": _numeric,
    "named": _named,
    "month": _month,
    "weekday": _weekday,
    "clock": _clock,
    "relative": _relative,
    "spanish": _spanish,
    "chinese": _chinese,
    "noon": _noon,
}
