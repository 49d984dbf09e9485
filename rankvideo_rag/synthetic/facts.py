"""What narrators say and signs show in synthetic clips, with a question about each that one clip alone answers.

None of it names a colour, a shape or a motion, which only the picture shows. The texts of texts/*.tsv come first; where more
are needed, they are put together from places and kinds of things, no two alike.
"""

import re
from functools import cache
from importlib.resources import files
from itertools import product
from random import Random
from typing import NamedTuple

from rankvideo_rag.errors import InputError


class Fact(NamedTuple):
    """What a narrator says; the first sentence answers the question."""

    question: str
    sentences: tuple[str, ...]


class Sign(NamedTuple):
    """What is written on a sign."""

    question: str
    text: str


_PLACES = (
    "Aldery Barrow Calden Dunmore Elverton Farrow Glenhurst Hexley Islay Jorvik Kelmore Lanton Merrow Norwell Oxley Penrow "
    "Quarley Rosset Stavely Thornby Ulverby Vexford Wanlow Yarrow Zelby"
).split()
_BUILDINGS = ("chapel", "mill", "school", "tower", "theatre", "harbour", "market hall", "station")
_STREETS = ("ROAD", "LANE", "STREET", "COURT", "GATE", "BRIDGE")
_OPENED = re.compile(r"The (.+ of \w+) was opened in \d+\.")
_NUMBERED = re.compile(r"(\w+ \w+) \d+")


def _rows(name: str) -> list[list[str]]:
    text = (files("rankvideo_rag.synthetic") / "texts" / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


@cache
def written_facts() -> tuple[Fact, ...]:
    """Return the facts of texts/facts.tsv: question, sentence and perhaps another sentence."""
    return tuple(Fact(question, tuple(sentences)) for question, *sentences in _rows("facts.tsv"))


@cache
def written_signs() -> tuple[Sign, ...]:
    """Return the signs of texts/signs.tsv: question, text."""
    return tuple(Sign(question, text) for question, text in _rows("signs.tsv"))


@cache
def _written_questions() -> dict[str, str]:
    by_sentence = {fact.sentences[0]: fact.question for fact in written_facts()}
    return by_sentence | {sign.text: sign.question for sign in written_signs()}


def question_for(text: str) -> str:
    """Return the question that a narrator's first sentence, or a sign, answers. Raises InputError for other texts."""
    if text in _written_questions():
        return _written_questions()[text]
    if opened := _OPENED.fullmatch(text):
        return f"When was the {opened[1]} opened?"
    if numbered := _NUMBERED.fullmatch(text):
        return f"Which number does the sign for {numbered[1].title()} show?"
    raise InputError(f"{text!r} is not a fact or a sign of synthetic clips: use one of shuffled_facts() or shuffled_signs()")


def shuffled_facts(random: Random) -> list[Fact]:
    """Return every fact once in a random order, those of texts/facts.tsv first."""
    made = [
        f"The {building} of {place} was opened in {random.randint(1700, 1999)}."
        for building, place in product(_BUILDINGS, _PLACES)
    ]
    written = random.sample(written_facts(), len(written_facts()))
    return written + [Fact(question_for(sentence), (sentence,)) for sentence in random.sample(made, len(made))]


def shuffled_signs(random: Random) -> list[Sign]:
    """Return every sign once in a random order, those of texts/signs.tsv first."""
    made = [f"{place.upper()} {street} {random.randint(2, 98)}" for place, street in product(_PLACES, _STREETS)]
    written = random.sample(written_signs(), len(written_signs()))
    return written + [Sign(question_for(text), text) for text in random.sample(made, len(made))]
