"""MiRAGE from stored judgements: the definition, and how its published code counts, each against numbers made by hand."""

from fractions import Fraction

import pytest
from support.answer_cases import answer, case, judged, numbers, reference

from rankvideo_rag.eval.answers.judge import Check, Judgement, Label
from rankvideo_rag.eval.answers.judges.prompts import parse_judgement
from rankvideo_rag.eval.answers.mirage import mirage_scores
from rankvideo_rag.eval.answers.mirage_original import original_mirage_scores, says_yes
from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue

REFERENCE = ("InfoP", "InfoR", "InfoF1", "CiteP", "CiteR", "CiteF1")
COLLECTION = tuple(f"{name}(collection)" for name in REFERENCE)
ORIGINAL = tuple(f"{name}(original)" for name in REFERENCE)
ORIGINAL_COLLECTION = tuple(f"{name}(original)" for name in COLLECTION)

ONE, TWO = ("r1", "v1"), ("r2", "v2")
Table = dict[tuple[str, str, str], Judgement | Label]

NOTHING_RECALLED: Table = {("passage", "r1", "A B"): "no", ("passage", "r2", "A B"): "no"}


def test_both_ways_of_counting_agree_on_an_ordinary_answer() -> None:
    """Three claims, each citing one video; the judge can tell nothing that the two ways count differently."""
    given = answer(("A", "v1"), ("B", "v2"), ("C", "v2"))
    right = reference(ONE, TWO, ("r3", "v1 v2"), ("r4", "v3"), ("no video shows it", ""))
    article = "r1\nr2\nr3\nr4\nno video shows it"
    own = {"v1": "Claims from v1: r1. r3.", "v2": "Claims from v2: r2. r3."}
    joined = " ".join(own.values())
    ask = judged(
        {
            # InfoP 2/3
            ("passage", "A", article): "yes",
            ("passage", "B", article): "yes",
            ("passage", "C", article): "no",
            # InfoR 1/4: the claim that no video supports is not asked about
            ("passage", "r1", "A B C"): "yes",
            ("passage", "r2", "A B C"): "no",
            ("passage", "r3", "A B C"): "no",
            ("passage", "r4", "A B C"): "no",
            # CiteP 1/3
            ("claims", "A", own["v1"]): "yes",
            ("claims", "B", own["v2"]): "no",
            ("claims", "C", own["v2"]): "no",
            ("claims", "A", joined): "yes",
            ("claims", "B", joined): "no",
            ("claims", "C", joined): "no",
            # CiteR 2/4: r3 is supported by what cites v2 though not by what cites v1; nothing cites v3
            ("claims", "r1", "A"): "yes",
            ("claims", "r2", "B C"): "no",
            ("claims", "r3", "A"): "no",
            ("claims", "r3", "B C"): "yes",
        }
    )
    info_f1 = 2 * Fraction(2, 3) * Fraction(1, 4) / (Fraction(2, 3) + Fraction(1, 4))
    cite_f1 = 2 * Fraction(1, 3) * Fraction(1, 2) / (Fraction(1, 3) + Fraction(1, 2))
    expected = [2 / 3, 1 / 4, float(info_f1), 1 / 3, 1 / 2, float(cite_f1)]
    assert numbers(mirage_scores(case(given, right), ask), *REFERENCE) == pytest.approx(expected, abs=1e-12)
    assert numbers(original_mirage_scores(case(given, right), ask), *ORIGINAL) == pytest.approx(expected, abs=1e-12)
    assert (round(float(info_f1), 6), round(float(cite_f1), 6)) == (0.363636, 0.4)


def test_claim_is_checked_against_its_own_citations_only() -> None:
    """Point 1. A is supported only by what B cites: 1 of 2 claims, where the original finds both."""
    right = reference(ONE, TWO)
    ask = judged(
        NOTHING_RECALLED
        | {
            ("passage", "A", "r1\nr2"): "yes",
            ("passage", "B", "r1\nr2"): "yes",
            ("claims", "A", "Claims from v1: r1."): "no",
            ("claims", "B", "Claims from v2: r2."): "yes",
            ("claims", "A", "Claims from v1: r1. Claims from v2: r2."): "yes",
            ("claims", "B", "Claims from v1: r1. Claims from v2: r2."): "yes",
            ("claims", "r1", "A"): "no",
            ("claims", "r2", "B"): "no",
        }
    )
    one = case(answer(("A", "v1"), ("B", "v2")), right)
    assert numbers(mirage_scores(one, ask), "CiteP", "CiteR", "CiteF1") == [0.5, 0.0, 0.0]
    assert numbers(original_mirage_scores(one, ask), *ORIGINAL[3:]) == [1.0, 0.0, 0.0]


def test_uncited_claim_is_not_supported_by_other_citations() -> None:
    """Point 1 again: B cites nothing, or a video of which the reference says nothing. The judge is not asked."""
    ask = judged(
        {
            ("passage", "A", "r1"): "yes",
            ("passage", "B", "r1"): "yes",
            ("passage", "C", "r1"): "yes",
            ("passage", "r1", "A B C"): "yes",
            ("claims", "A", "Claims from v1: r1."): "yes",
            ("claims", "A", "Claims from v1: r1. Claims from v9: ."): "yes",
            ("claims", "B", "Claims from v1: r1. Claims from v9: ."): "yes",
            ("claims", "C", "Claims from v1: r1. Claims from v9: ."): "no",
            ("claims", "r1", "A"): "yes",
        }
    )
    one = case(answer(("A", "v1"), ("B", ""), ("C", "v9")), reference(ONE))
    assert numbers(mirage_scores(one, ask), *REFERENCE) == pytest.approx([1.0, 1.0, 1.0, 1 / 3, 1.0, 0.5])
    assert numbers(original_mirage_scores(one, ask), *ORIGINAL) == pytest.approx([1.0, 1.0, 1.0, 2 / 3, 1.0, 0.8])


def quiet(*claims: str, text: str, seen: dict[tuple[str, str], Judgement | Label]) -> Table:
    """Judgements for a reference of r1 in v1 and r2 in v2 in which only what is seen matters; all words say no."""
    listed = ("Claims from v1: r1.", "Claims from v2: r2.", "Claims from v1: r1. Claims from v2: r2.")
    table: Table = {("video", claim, video): said for (claim, video), said in seen.items()}
    for claim in claims:
        table |= {("passage", claim, "r1\nr2"): "no"}
        table |= {("claims", claim, passage): "no" for passage in listed}
    for claim in ("r1", "r2"):
        table |= {("passage", claim, text): "no"}
        table |= {("claims", claim, passage): "no" for passage in (*claims, text, "A A", "A B", "B C")}
    return table


def test_supported_claims_are_counted_instead_of_summing_shares() -> None:
    """Point 2. v1 supports A and B, of three that cite it: 2/3. The original adds one share, 2/3, and divides it by 3."""
    table = quiet(
        "A", "B", "C", text="A B C", seen={("A", "v1"): "yes", ("B", "v1"): "yes", ("C", "v1"): "no", ("C", "v2"): "yes"}
    )
    one = case(answer(("A", "v1"), ("B", "v1"), ("C", "v1")), reference(ONE, TWO))
    ask = judged(table, video=True)
    # C is seen in v2, which is relevant though not cited: InfoP is 1.
    assert numbers(mirage_scores(one, ask), *COLLECTION) == pytest.approx([1.0, 0.0, 0.0, 2 / 3, 0.0, 0.0])
    found = original_mirage_scores(one, ask)
    assert numbers(found, *ORIGINAL_COLLECTION) == pytest.approx([1.0, 0.0, 0.0, 2 / 9, 0.0, 0.0])


def test_claim_with_two_supporting_citations_counts_once() -> None:
    """Point 2 upwards: two shares of 1 for one claim make a precision of 2."""
    ask = judged(quiet("A", text="A", seen={("A", "v1"): "yes", ("A", "v2"): "yes"}), video=True)
    one = case(answer(("A", "v1 v2")), reference(ONE, TWO))
    assert mirage_scores(one, ask)["CiteP(collection)"].value == 1.0
    assert original_mirage_scores(one, ask)["CiteP(collection)(original)"].value == 2.0


def test_equal_claims_are_counted_separately() -> None:
    """Point 3. A is said twice, with another video each time; only v2 supports it."""
    listed = {"v1": "Claims from v1: r1.", "v2": "Claims from v2: r2."}
    table = quiet("A", "B", text="A A B", seen={("A", "v1"): "no", ("A", "v2"): "yes", ("B", "v1"): "no", ("B", "v2"): "no"})
    table |= {("passage", "A", "r1\nr2"): "yes", ("claims", "A", listed["v2"]): "yes"}
    table |= {("claims", "A", " ".join(listed.values())): "yes"}
    one = case(answer(("A", "v1"), ("A", "v2"), ("B", "v1")), reference(ONE, TWO))
    ask = judged(table, video=True)
    found, original = mirage_scores(one, ask), original_mirage_scores(one, ask)
    assert numbers(found, "InfoP", "CiteP") == pytest.approx([2 / 3, 1 / 3])
    assert numbers(original, "InfoP(original)", "CiteP(original)") == pytest.approx([2 / 3, 1 / 2])  # A once, B
    assert numbers(found, "InfoP(collection)", "CiteP(collection)") == pytest.approx([2 / 3, 1 / 3])
    # The second A is never marked as found; CiteP: v1 supports 0 of A and B, v2 supports A: (0 + 1) / 2.
    assert numbers(original, "InfoP(collection)(original)", "CiteP(collection)(original)") == pytest.approx([1 / 3, 1 / 2])


@pytest.mark.parametrize(
    ("reply", "label", "original"),
    [
        ("<response>yes<response>", "yes", True),
        ("no", "no", False),
        ("NO. Nothing here was filmed yesterday.", None, True),
        ("It cannot be told whether yes or no.", None, True),
        ("Perhaps.", None, False),
        ("", None, False),
    ],
)
def test_prose_is_no_judgement_but_the_original_searches_it_for_yes(reply: str, label: str | None, original: bool) -> None:
    """Point 4."""
    judgement = parse_judgement(Check("passage", "A"), reply)
    assert (judgement.label, says_yes(judgement)) == (label, original)


def test_undecided_claims_are_left_out_instead_of_counted_as_no() -> None:
    """Point 4. One yes, one no and two replies in prose, of which one holds the letters y, e, s."""
    prose = Judgement(None, "prose", "Yesterday, it seems."), Judgement(None, "prose", "Who knows")
    said = dict(zip("ABCD", (Judgement("yes", reply="yes"), Judgement("no", reply="no"), *prose), strict=True))
    table = {("passage", claim, "r1"): judgement for claim, judgement in said.items()}
    table |= {("passage", "r1", "A B C D"): prose[1]}
    one = case(answer(*((claim, "") for claim in "ABCD")), reference(ONE))
    found, original = mirage_scores(one, judged(table)), original_mirage_scores(one, judged(table))
    assert found["InfoP"].value == 0.5
    assert found["InfoR"] == MeasureValue(
        None, "no judgement on any of the claims in the reference that a video supports", unjudged=True
    )
    assert found["InfoF1"].value is None
    assert numbers(original, *ORIGINAL[:3]) == [0.5, 0.0, 0.0]  # A and C; "Who knows" is a no


def test_unreadable_video_is_left_out() -> None:
    """Point 4: for the original it says no."""
    table = quiet("A", "B", text="A B", seen={("A", "v1"): Judgement(None, "no_file: …"), ("B", "v2"): "yes"})
    table |= {("video", "A", "v2"): "no", ("video", "B", "v1"): Judgement(None, "no_file: …")}
    one = case(answer(("A", "v1"), ("B", "v2")), reference(ONE, TWO))
    found, original = mirage_scores(one, judged(table, video=True)), original_mirage_scores(one, judged(table, video=True))
    assert numbers(found, "InfoP(collection)", "CiteP(collection)") == [1.0, 1.0]  # of A nothing is known
    assert numbers(original, "InfoP(collection)(original)", "CiteP(collection)(original)") == [0.5, 0.5]


def test_answer_without_claims_has_no_precision_and_zero_recall() -> None:
    """Point 5, answer."""
    empty = case(answer(), reference(ONE, TWO))
    found = mirage_scores(empty, judged({}, video=True))
    for mode in (REFERENCE, COLLECTION):
        assert numbers(found, *mode) == [None, 0.0, 0.0, None, 0.0, 0.0]
    assert found["InfoP"].reason == "no claims in the answer"
    assert numbers(original_mirage_scores(empty, judged({})), *ORIGINAL) == [0.0] * 6


def test_reference_without_claims_gives_no_recall_and_no_citation_scores() -> None:
    """Point 5, reference: it has an answer only."""
    one = case(answer(("A", "v1")), reference(answer="It is so."))
    ask = judged({("passage", "A", "It is so."): "yes", ("claims", "A", "Claims from v1: ."): "no"})
    found = mirage_scores(one, ask)
    assert numbers(found, *REFERENCE) == [1.0, None, None, None, None, None]
    assert found["InfoR"].reason == "no claims in the reference that a video supports"
    assert numbers(original_mirage_scores(one, ask), *ORIGINAL) == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_missing_answer_counts_zero_but_the_original_skips_it() -> None:
    """Point 6."""
    absent = Case(reference(ONE), answer(answered=False), absent=True)
    assert numbers(mirage_scores(absent, judged({})), "InfoR", "InfoF1", "CiteR", "CiteF1") == [0.0, 0.0, 0.0, 0.0]
    assert original_mirage_scores(absent, judged({})) == {}


def test_reference_claim_is_judged_in_its_own_context() -> None:
    """Point 7: with the answer as context, the judge reads all of it even where one sentence is to be judged."""
    one = case(answer(("A", "v1")), reference(ONE))

    class ReadsContext:
        has_video_judge = False

        def __call__(self, check: Check) -> Judgement:
            reads_the_answer = (check.kind, check.claim, check.context) == ("claims", "r1", "A")
            return Judgement("yes" if reads_the_answer else "no")

    ask = ReadsContext()
    assert mirage_scores(one, ask)["CiteR"].value == 0.0
    assert original_mirage_scores(one, ask)["CiteR(original)"].value == 1.0
