"""The check of claims by rules: one condition at a time."""

import pytest

from rankvideo_rag.answering.claim_check import check_claim, restates
from rankvideo_rag.answering.claim_quantities import is_derived, is_same
from rankvideo_rag.text.numbers import Quantity, find_quantities
from rankvideo_rag.text.sentences import split_sentences

BRIDGE = "Ms Adair voted against the bridge, and Mr Bosk voted for it. It may open in May. Two of the six cables are new."
SHOP = "The red bike is lighter than the blue one. I bought the blue one because it was cheap. Some riders say it is noisy."
DE = "Der Laden öffnet um neun. Er hat keinen Keller, weil der Boden nass ist."
ES = "El museo abre a las diez, menos los lunes. La entrada cuesta doce euros y no es obligatoria."
FR = "Le musée ouvre à dix heures. Il n'accepte pas la carte."
ZH = "这座桥建于一九二八年，长四百米。周一不开放。"


@pytest.mark.parametrize(
    ("evidence", "claim", "decision"),
    [
        (BRIDGE, "Mr Bosk voted for the bridge.", "supported"),
        (BRIDGE, "Mr Bosk voted against the bridge.", "contradicted"),  # roles
        (BRIDGE, "Ms Carr voted against the bridge.", "contradicted"),  # names
        (BRIDGE, "The bridge may open in May.", "supported"),
        (BRIDGE, "The bridge opens in May.", "unchecked"),  # certainty
        (BRIDGE, "The bridge may open in June.", "contradicted"),  # date
        (BRIDGE, "The bridge may not open in May.", "contradicted"),  # negation
        (BRIDGE, "Six of the cables are new.", "contradicted"),  # part and whole
        (BRIDGE, "All cables are new.", "unchecked"),  # scope
        (BRIDGE, "The bridge may open in May, with a concert.", "unchecked"),  # detail
        (SHOP, "The blue bike is lighter than the red one.", "contradicted"),  # comparison
        (SHOP, "The blue one was bought because it was cheap.", "supported"),
        (SHOP, "The blue one was bought because it was light.", "unchecked"),  # cause
        (SHOP, "All riders say it is noisy.", "contradicted"),
        (SHOP, "Nobody has ever ridden it.", "unchecked"),
        (DE, "Der Laden öffnet um 9 Uhr.", "supported"),
        (DE, "Der Laden öffnet um zehn.", "contradicted"),
        (DE, "Er hat einen Keller.", "contradicted"),
        (DE, "The shop opens at nine.", "unchecked"),  # a translation
        (DE, "The shop opens at ten.", "contradicted"),
        (ES, "El museo abre a las diez.", "supported"),
        (ES, "El museo abre todos los días a las diez.", "contradicted"),
        (ES, "La entrada es obligatoria.", "contradicted"),
        (FR, "Il accepte la carte.", "contradicted"),
        (ZH, "这座桥长400米。", "supported"),
        (ZH, "这座桥长四百公里。", "contradicted"),
        (ZH, "周一开放。", "contradicted"),
    ],
)
def test_a_condition_decides(evidence: str, claim: str, decision: str) -> None:
    assert check_claim(claim, "", split_sentences(evidence)).decision == decision


def test_words_of_question_and_title_need_no_evidence() -> None:
    assert check_claim("The Lund ferry leaves at nine.", "", ["It leaves at nine."]).decision == "unchecked"
    assert check_claim(
        "The Lund ferry leaves at nine.", "When does the Lund ferry leave?", ["It leaves at nine."]
    ).decision == ("supported")
    assert check_claim("The Lund ferry leaves at nine.", "", ["It leaves at nine."], ["Lund ferry"]).decision == "supported"


def test_what_shares_nothing_with_its_evidence_is_not_related() -> None:
    assert not check_claim("The moon is cheese.", "", ["It leaves at nine."]).is_related
    assert check_claim("Der Mond ist aus Käse.", "", ["It leaves at nine."]).is_related  # another language


def test_only_doubts_about_wording_are_open() -> None:
    assert check_claim("It departs at nine.", "", ["It leaves at nine."]).is_open
    assert not check_claim("It will leave at nine.", "", ["It may leave at nine."]).is_open


def test_coverage_is_the_share_of_words_and_quantities() -> None:
    assert check_claim("It leaves the quay at nine.", "", ["It leaves at nine."]).coverage == pytest.approx(2 / 3)
    assert restates("It leaves the quay at 9.", "It leaves at nine.")
    assert not restates("It leaves the quay at ten.", "It leaves at nine.")


def only(text: str) -> Quantity:
    (quantity,) = find_quantities(text)
    return quantity


@pytest.mark.parametrize(
    ("claim", "evidence", "same"),
    [
        ("8 km", "eight kilometres", True),
        ("8 km", "8 miles", False),
        ("in May", "on the 11th of May", True),
        ("on the 11th of May", "in May", False),
        ("in the 17th century", "in 1641", True),
        ("in the sixties", "in 1964", True),
        ("a quarter of them", "25 %", True),
        ("at 3:40 pm", "at 3:40", True),
        ("at 3:40 pm", "at 3:40 am", False),
        ("120 pounds", "120 pounds a year", True),
        ("120 pounds a month", "120 pounds a year", False),
        ("N-4471", "n4471", True),
        ("N-4471", "N-4417", False),
    ],
)
def test_quantities_that_support_each_other(claim: str, evidence: str, same: bool) -> None:
    assert is_same(only(claim), only(evidence)) is same


@pytest.mark.parametrize(
    ("claim", "evidence", "derived"),
    [
        ("52 minutes", "forty minutes, then twelve minutes", True),
        ("70 per cent", "of ninety trees, sixty-three", True),
        ("40 per cent", "sixty per cent", True),
        ("Thursday", "on Tuesday, two days later", True),
        ("53 minutes", "forty minutes, then twelve minutes", False),
    ],
)
def test_quantities_that_may_be_calculated(claim: str, evidence: str, derived: bool) -> None:
    assert is_derived(only(claim), find_quantities(evidence)) is derived
