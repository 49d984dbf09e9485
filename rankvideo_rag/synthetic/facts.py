"""What narrators say and signs show in the little world, with a question about each that one clip alone answers.

All of it is invented. No text names a colour, a shape or a motion: those are for the eye. Some texts are written out; where
a world needs more, they are put together from places and kinds of things, no two alike.
"""

import re
from itertools import product
from random import Random

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import Record


class Fact(Record):
    """What a narrator tells: the first sentence answers the question."""

    sentences: tuple[str, ...]
    question: str


class Sign(Record):
    """What is written on a board."""

    text: str
    question: str


FACTS = (
    Fact(
        sentences=("The lighthouse at Cape Morrow was built in 1882.", "Its lamp can be seen from eighteen miles away."),
        question="When was the lighthouse at Cape Morrow built?",
    ),
    Fact(
        sentences=("The lighthouse at Port Ellery has had no keeper since 1974.",),
        question="Since when has the lighthouse at Port Ellery had no keeper?",
    ),
    Fact(
        sentences=("The wool merchants paid for the bridge over the Tarn.", "They took a toll from every cart."),
        question="Who paid for the bridge over the Tarn?",
    ),
    Fact(
        sentences=("The bridge at Quenby is two hundred and forty metres long.",),
        question="How long is the bridge at Quenby?",
    ),
    Fact(
        sentences=("Marta Linden discovered the comet with a telescope made at home.", "She was nineteen years old."),
        question="Who discovered the comet with a telescope made at home?",
    ),
    Fact(
        sentences=("The observatory on Mount Sorrel opens its dome every Thursday.",),
        question="On which day does the observatory on Mount Sorrel open its dome?",
    ),
    Fact(
        sentences=("The bakery in Fenwick bakes its bread from rye flour.", "A water mill grinds the flour."),
        question="Which flour does the bakery in Fenwick bake its bread from?",
    ),
    Fact(
        sentences=("The ferry to Ostrey crosses the strait in forty minutes.",),
        question="In how many minutes does the ferry to Ostrey cross the strait?",
    ),
    Fact(
        sentences=("Seals raise their young in Hollow Bay every June.", "Visitors watch them from the dunes."),
        question="In which month do seals raise their young in Hollow Bay?",
    ),
    Fact(
        sentences=("The railway to Brandt was closed after the flood of 1953.",),
        question="Why was the railway to Brandt closed?",
    ),
    Fact(
        sentences=("Professor Okoro found that the glacier is three kilometres thick.", "The measurement took a whole winter."),
        question="How thick is the glacier that Professor Okoro measured?",
    ),
    Fact(
        sentences=("The violin in the town museum was carved by Anton Reyes.",),
        question="Who carved the violin in the town museum?",
    ),
    Fact(
        sentences=("The lake at Varn is frozen for five months of the year.", "Lorries drive across it in February."),
        question="For how many months of the year is the lake at Varn frozen?",
    ),
    Fact(
        sentences=("Honey from the isle of Tresk is made from heather.",),
        question="What is honey from the isle of Tresk made from?",
    ),
    Fact(
        sentences=("The clock of Saint Brennan strikes thirteen at midnight.", "Nobody has ever repaired it."),
        question="How often does the clock of Saint Brennan strike at midnight?",
    ),
    Fact(
        sentences=("The balloon that crossed Ashmere carried two sheep and a postman.",),
        question="What did the balloon that crossed Ashmere carry?",
    ),
)

SIGNS = (
    Sign(text="HARBOUR ROAD 17", question="Which number does the sign for Harbour Road show?"),
    Sign(text="MILL LANE 4", question="Which number does the sign for Mill Lane show?"),
    Sign(text="PIER 9 WEST", question="Which end of the harbour does the sign at pier 9 name?"),
    Sign(text="BAKERY OPENS 6", question="At what hour does the sign say that the bakery opens?"),
    Sign(text="MUSEUM EXIT B", question="Which letter does the sign at the museum exit bear?"),
    Sign(text="PLATFORM 12 EAST", question="Which number does the platform sign show?"),
    Sign(text="CASTLE HILL 31", question="Which number does the sign for Castle Hill show?"),
    Sign(text="OAK STREET 208", question="Which number does the sign for Oak Street show?"),
    Sign(text="LIBRARY ROOM 415", question="Which room does the library sign show?"),
    Sign(text="TICKETS 8 EURO", question="How many euro do tickets cost according to the sign?"),
    Sign(text="GARDEN GATE 3", question="Which number does the sign at the garden gate bear?"),
    Sign(text="WINTER FAIR 1958", question="Which year does the sign of the winter fair bear?"),
    Sign(text="FERRY TO LUND", question="Where does the ferry on the sign go to?"),
    Sign(text="RIVER WALK 2 KM", question="How long is the river walk according to the sign?"),
    Sign(text="CAMP SITE 77", question="Which number does the sign of the camp site bear?"),
    Sign(text="VALLEY SCHOOL 5", question="Which number does the sign of the valley school bear?"),
)

_PLACES = (
    "Aldery Barrow Calden Dunmore Elverton Farrow Glenhurst Hexley Islay Jorvik Kelmore Lanton Merrow Norwell Oxley Penrow "
    "Quarley Rosset Stavely Thornby Ulverby Vexford Wanlow Yarrow Zelby"
).split()
_BUILDINGS = ("chapel", "mill", "school", "tower", "theatre", "harbour", "market hall", "station")
_STREETS = ("ROAD", "LANE", "STREET", "COURT", "GATE", "BRIDGE")

_TOLD = {fact.sentences[0]: fact.question for fact in FACTS} | {sign.text: sign.question for sign in SIGNS}
_OPENED = re.compile(r"The (.+ of \w+) was opened in \d+\.")
_NUMBERED = re.compile(r"(\w+ \w+) \d+")


def question_for(text: str) -> str:
    """The question that a narrator's first sentence, or a sign, answers.

    Raises InputError for words that are neither said nor written in this world.
    """
    if text in _TOLD:
        return _TOLD[text]
    if opened := _OPENED.fullmatch(text):
        return f"When was the {opened[1]} opened?"
    if numbered := _NUMBERED.fullmatch(text):
        return f"Which number does the sign for {numbered[1].title()} show?"
    raise InputError(f"{text!r} is no fact and no sign of the little world: take one of facts() or signs()")


def shuffled_facts(random: Random) -> list[Fact]:
    """Every fact once in a random order, those that are written out first."""
    made = [
        _fact(f"The {building} of {place} was opened in {random.randint(1700, 1999)}.")
        for building, place in product(_BUILDINGS, _PLACES)
    ]
    return random.sample(FACTS, len(FACTS)) + random.sample(made, len(made))


def _fact(sentence: str) -> Fact:
    return Fact(sentences=(sentence,), question=question_for(sentence))


def shuffled_signs(random: Random) -> list[Sign]:
    """Every sign once in a random order, those that are written out first."""
    made = [f"{place.upper()} {street} {random.randint(2, 98)}" for place, street in product(_PLACES, _STREETS)]
    return random.sample(SIGNS, len(SIGNS)) + [
        Sign(text=text, question=question_for(text)) for text in random.sample(made, len(made))
    ]
