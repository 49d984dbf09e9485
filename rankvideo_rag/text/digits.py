"""Write the number words of a text in digits, and keep where each of them stood.

English, German, Spanish and French words are read by text2num (allo-media, MIT): of the libraries tried it is the one that
reads four of our languages, reports positions and takes microseconds. number-parser has no German, dateparser finds dates in
"we may march" and takes seconds, quantulum3 knows English only, and pint converts values, which nothing here needs. Chinese
numerals are read here.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from text_to_num import find_numbers

_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*|[^\w\s-]")
_LANGUAGES = ("en", "de", "es", "fr")
# Words that are numbers in form only: "4 y cuarto" is a quarter past four, "a second" is a time.
_NEVER = frozenset("miles o cuarto cuartos quart quarts second seconds segundo segundos".split())
_ARTICLES = frozenset("ein eine einen einem einer eines un una une".split())
_MULTIPLIERS = frozenset(
    """hundred thousand million billion hundert tausend million millionen milliarde milliarden cientos mil millón millones
    cent cents ciento cento mille millions milliard milliards""".split()
)
_CHINESE = re.compile(r"[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+(?![十百分半刻直起样些定般下]))?")
_CHINESE_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
_GERMAN_HALF = re.compile(r"\b(anderthalb|[a-zäöü]+einhalb)(?:e[nrs]?)?\b", re.IGNORECASE)
# A single numeral is a number only beside one of these: 一直 and 十分 are words.
_COUNTED = re.compile(
    r"刻|个|座|只|碗|位|名|条|家|间|辆|本|次|层|楼|种|岁|对|张|点|月|日|号|年|天|分|秒|小时|公里|千米|米|元|块|折|成|倍|人|周|公斤|斤|克|升|度|厘米|毫米"
    r"|件|场|届|届|棵|匹|头|口|扇|幅|支|把|套|站|期|代|句|顿|杯|瓶|箱|页|门|英里|吨|晚|英镑|欧元|美元|百分|平方|立方|分钟"
)
_BEFORE_NUMERAL = re.compile(r"(?:第|之|周|星期|礼拜|百分之|初|高|长|宽|共|有|约|到|至)$")


def _languages(language: str | None) -> tuple[str, ...]:
    """Return the languages to read number words in. Italian and Portuguese are easily taken for others in a few words."""
    if language in _LANGUAGES:
        return (language,)
    return (language, *_LANGUAGES) if language in ("it", "pt", "nl") else _LANGUAGES if language is None else ()


class Digits(NamedTuple):
    """A text in which number words are digits; character i stands for [starts[i], ends[i]) of the original."""

    text: str
    starts: list[int]
    ends: list[int]


def _is_decimal(words: list["_Word"]) -> bool:
    """Return whether the last words are a decimal number: "one point eight"."""
    return len(words) > 2 and words[-2].match[0].casefold() in ("point", "komma", "coma", "virgule")


class _Word:
    """A token as text2num reads it."""

    def __init__(self, match: re.Match[str], after_digits: bool) -> None:
        self.match, self._after_digits = match, after_digits

    def text(self) -> str:
        return self.match[0]

    def nt_separated(self, previous: "_Word") -> bool:
        return False

    def not_a_number_part(self) -> bool:
        word = self.match[0].casefold()
        return word in _NEVER or (self._after_digits and word in _MULTIPLIERS)


def write_digits(text: str, language: str | None) -> Digits:
    """Return a text with its number words as digits: ordinals as `12th`, everything else unchanged.

    Without a language, the first one is taken in which the text has a number word.
    Other languages than en, de, es, fr, it, pt, nl and zh keep their number words.

    >>> write_digits("the twenty-first of two hundred and five", "en").text
    'the 21th of 205'
    >>> write_digits("全长四点八公里，一九五三年，一百二十座", "zh").text
    '全长4.8公里，1953年，120座'
    """
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    place = 0
    spelled = next(filter(None, (list(_from_words(text, known)) for known in _languages(language))), [])
    for start, end, digits in [*sorted([*spelled, *_from_chinese(text)]), (len(text), len(text), "")]:
        out += [text[place:start], digits]
        starts += [*range(place, start), *([start] * len(digits))]
        ends += [*range(place + 1, start + 1), *([end] * len(digits))]
        place = end
    return Digits("".join(out), starts, ends)


def _from_words(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    if language == "de":
        yield from _german_halves(text)
    words: list[_Word] = []
    for match in _TOKEN.finditer(text):
        after_digits = bool(words) and (words[-1].match[0][0].isdigit() or _is_decimal(words))
        per_cent = bool(words) and words[-1].match[0].casefold() in ("per", "pour", "por")
        words.append(_Word(match, after_digits or per_cent))
    for found in find_numbers(words, language, threshold=0):
        first, last = words[found.start].match, words[found.end - 1].match
        if found.end - found.start == 1 and first[0].casefold() in _ARTICLES:
            continue
        yield first.start(), last.end(), f"{found.value:.15g}{'th' if found.is_ordinal else ''}"


def _german_halves(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _GERMAN_HALF.finditer(text):
        whole = 1.0 if match[1].casefold() == "anderthalb" else _value(match[1][: -len("einhalb")])
        if whole is not None:
            yield match.start(), match.end(), f"{whole + 0.5:g}"


def _value(word: str) -> float | None:
    """Return the value of a German number word; None if it is none."""
    return next(
        (found.value for found in find_numbers([_Word(match, False) for match in _TOKEN.finditer(word)], "de", threshold=0)),
        None,
    )


def _from_chinese(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _CHINESE.finditer(text):
        numeral = match[0]
        alone = len(numeral) == 1 and not (
            _COUNTED.match(text, match.end()) or _BEFORE_NUMERAL.search(text[max(match.start() - 3, 0) : match.start()])
        )
        is_word = numeral == "十" and re.match("分(?!钟|之)", text[match.end() :]) is not None  # 十分: very
        if not alone and not is_word and numeral[0] not in "百千万亿":
            yield match.start(), match.end(), read_chinese(numeral)


def read_chinese(numeral: str) -> str:
    """Return a Chinese numeral in digits.

    >>> [read_chinese(text) for text in ("十二", "一九五三", "四点八", "三千三百", "二十万", "一百零五")]
    ['12', '1953', '4.8', '3300', '200000', '105']
    """
    whole, _, decimals = numeral.partition("点")
    fraction = f".{''.join(str(_CHINESE_DIGITS[char]) for char in decimals)}" if decimals else ""
    if not any(char in _POWERS for char in whole):
        return "".join(str(_CHINESE_DIGITS[char]) for char in whole) + fraction
    total = section = digit = 0
    for char in whole:
        power = _POWERS.get(char)
        if power is None:
            digit = _CHINESE_DIGITS[char]
        elif power >= 10_000:
            total, section, digit = (total + section + digit) * power, 0, 0
        else:
            section, digit = section + (digit or 1) * power, 0
    return f"{total + section + digit}{fraction}"
