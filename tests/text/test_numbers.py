"""Quantities are found in words and digits, and normalised. Expected values are by hand."""

from typing import Any

import pytest

from rankvideo_rag.text.digits import write_digits
from rankvideo_rag.text.numbers import find_quantities

Expected = list[tuple[str, float, str]]


def found(text: str) -> list[Any]:
    return [(quantity.kind, pytest.approx(quantity.value), quantity.unit) for quantity in find_quantities(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("thirty-eight thousand five hundred for it", [("number", 38_500, "")]),
        ("It cost 38,500 or 1.260,50.", [("number", 38_500, ""), ("number", 1260.5, "")]),
        ("by two hundred and fourteen to sixty-seven", [("number", 214, ""), ("number", 67, "")]),
        ("2.5 million people", [("number", 2_500_000, "")]),
        ("Dreihundertzehn davon gibt es", [("number", 310, "")]),
        ("son treinta y una", [("number", 31, "")]),
        ("quatre-vingt-dix-neuf maisons", [("number", 99, "")]),
        ("原来有六座城门，一共一百二十人", [("number", 6, ""), ("number", 120, "")]),
        ("a dozen eggs", [("number", 12, "")]),
        ("a cold -7 outside", [("number", -7, "")]),
        ("He came 3rd and she came fifth.", [("ordinal", 3, ""), ("ordinal", 5, "")]),
        ("第三名", [("ordinal", 3, "")]),
        ("About a third of the singers, two thirds of us", [("fraction", 1 / 3, ""), ("fraction", 2 / 3, "")]),
        ("三分之一", [("fraction", 1 / 3, "")]),
        ("part N-4471", [("code", 0, "n4471")]),
        ("一直很好，十分好，万一", []),  # words that hold a numeral
        ("Ein Hochmoor lebt.", []),  # an article
    ],
)
def test_numbers_in_words_and_digits(text: str, expected: Expected) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eight kilometres", [("measure", 8, "km")]),
        ("8 km", [("measure", 8, "km")]),
        ("acht Kilometer", [("measure", 8, "km")]),
        ("a 25-litre tank", [("measure", 25, "l")]),
        ("40 m² and forty square meters", [("measure", 40, "m2")] * 2),
        ("two and a half metres", [("measure", 2.5, "m")]),
        ("zweieinhalb Meter", [("measure", 2.5, "m")]),
        ("seventy kilometres an hour", [("measure", 70, "km/h")]),
        ("four newton metres", [("measure", 4, "newton_metre")]),
        ("全长四点八公里", [("measure", 4.8, "km")]),
        ("five to ten minutes", [("duration", 5, "minute"), ("duration", 10, "minute")]),
        ("a ten-year guarantee", [("duration", 10, "year")]),
        ("for a day and a half", [("duration", 1.5, "day")]),
        ("两个半小时", [("duration", 2.5, "hour")]),
        ("four per cent, 4 %", [("percent", 4, "percent")] * 2),
        ("会员打八折", [("percent", 20, "percent")]),
        ("eleven pounds ninety", [("money", 11.9, "pound")]),
        ("£2 million", [("money", 2_000_000, "pound")]),
        ("120 pounds a year", [("money", 120, "pound/year")]),
        ("Doce euros", [("money", 12, "euro")]),
    ],
)
def test_units_are_normalised_and_not_converted(text: str, expected: Expected) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Saturday the nineteenth of July", [("weekday", 6, ""), ("date", 719, "")]),
        ("Saturday, July 19", [("weekday", 6, ""), ("date", 719, "")]),
        ("seit dem 12. Oktober", [("date", 1012, "")]),
        ("del 6 al 9 de mayo", [("date", 506, ""), ("date", 509, "")]),
        ("2021-03-05", [("date", 305, ""), ("year", 2021, "")]),
        ("二零二一年三月五日", [("date", 305, ""), ("year", 2021, "")]),
        ("nineteen eighty-four", [("year", 1984, "")]),
        ("on Wednesdays, in May", [("weekday", 3, ""), ("month", 5, "")]),
        ("We may march on.", []),
        ("Julio vende los relojes en julio.", [("month", 7, "")]),  # the first is a name
        ("in the late sixties", [("decade", 1960, "")]),
        ("in the seventeenth century", [("century", 17, "")]),
        ("twenty to four this morning", [("time", 3 * 60 + 40, "am")]),
        ("at 3:40 am", [("time", 3 * 60 + 40, "am")]),
        ("a quarter past four", [("time", 4 * 60 + 15, "")]),
        ("a las siete y cuarto", [("time", 7 * 60 + 15, "")]),
        ("a las cinco menos cuarto", [("time", 4 * 60 + 45, "")]),
        ("um halb fünf", [("time", 4 * 60 + 30, "")]),
        ("à 14h30", [("time", 14 * 60 + 30, "pm")]),
        ("下午五点", [("time", 17 * 60, "pm")]),
        ("It leaves at nine.", [("time", 9 * 60, "")]),
        ("at 220 degrees", [("measure", 220, "degree")]),
    ],
)
def test_dates_and_clock_times(text: str, expected: Expected) -> None:
    assert found(text) == expected


def test_the_place_is_that_of_the_words() -> None:
    text = "It weighs six hundred kilograms, they say."
    (weight,) = find_quantities(text)
    assert text[weight.start : weight.end] == "six hundred kilograms"


def test_each_sentence_is_read_in_its_own_language() -> None:
    text = "She is on leave for two weeks. El coro sigue a las cuatro y cuarto."
    assert found(text) == [("duration", 2, "week"), ("time", 255, "")]


def test_digits_keep_the_place_of_each_character() -> None:
    digits = write_digits("the twenty-first of two", "en")
    assert digits.text == "the 21th of 2"
    assert (digits.starts[4], digits.ends[4]) == (4, 16)
    assert (digits.starts[-1], digits.ends[-1]) == (20, 23)
