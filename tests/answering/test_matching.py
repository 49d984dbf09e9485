"""Quotes are found in the text of a clip."""

import pytest
from support.answering import FERRY, clip, said

from rankvideo_rag.answering.matching import find_quote
from rankvideo_rag.schema import TextSpan


@pytest.mark.parametrize(
    ("quote", "stored", "time"),
    [
        ("The ferry to Ostrey leaves at nine.", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),
        ("the FERRY to ostrey … leaves, at nine", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),
        ("the fery to Ostrey leaves at nine", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),  # 1 letter of 33
        ("never late", "never late.", (6.0, 7.0)),
        ("leaves at nine It is never late", "leaves at nine. It is never late.", (4.0, 7.0)),
        ("the ferry, um, to Ostrey leaves at nine", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),
        ("the ferry to Ostrey leaves at noon", None, None),  # 3 of 34, but another word
        ("the ferry to Ostrey leaves at five", None, None),
        ("It is ever late", None, None),
        ("the ferry leaves at noon", None, None),  # 3 of 24
        ("nin", None, None),
        ("…", None, None),
        ("HARBOUR ROAD", None, None),
    ],
)
def test_a_quote_matches_if_it_differs_in_spelling_by_at_most_a_tenth(
    quote: str, stored: str | None, time: tuple[float, float] | None
) -> None:
    found = find_quote(quote, FERRY)
    assert (found and found.text, found and (found.start, found.end)) == (stored, time)


def count_edits(quote: str, text: str) -> int:
    """The least edits between the quote and any stretch of the text, by the textbook's table."""
    row = [0] * (len(text) + 1)
    for i, letter in enumerate(quote, start=1):
        above, row = row, [i]
        for j, other in enumerate(text, start=1):
            row.append(min(above[j - 1] + (letter != other), above[j] + 1, row[j - 1] + 1))
    return min(row)


@pytest.mark.parametrize("quote", ["fery to ostrey leves at nine", "leves at nnie", "to osrey leaves", "fery at nine"])
def test_similarity_agrees_with_brute_force_edit_distance(quote: str) -> None:
    text = " the ferry to ostrey leaves at nine it is never late "
    edits = count_edits(f" {quote} ", text)
    found = find_quote(quote, FERRY)
    assert (found is not None) == (1 - edits / (len(quote) + 2) >= 0.9 - 1e-9)


def test_scripts_without_spaces_are_matched_letter_by_letter() -> None:
    chinese = clip(1, said("渡船九点出发。", 0.0, 3.0))
    found = find_quote("九点出发", chinese)
    assert found is not None
    assert (found.text, found.start, found.end) == ("九点出发。", 0.0, 3.0)
    assert find_quote("十点出发", chinese) is None


def test_a_quote_of_timed_words_has_their_time() -> None:
    """A word said twice has the time of its own place; one that the recogniser did not time leaves that of its neighbours."""
    words = [("No,", 1.0, 1.2), ("no", 1.4, 1.6), ("ferry", 1.6, 2.0), ("today,", 5.0, 5.5), ("no", 6.0, 6.2)]
    timed = TextSpan(channel="speech", text="No, no ferry at all today, no.", start=0, end=9, source="test", words=words)
    evidence = clip(1, timed, said("Try tomorrow.", 9.0, 10.0))

    def time(quote: str) -> tuple[float, float]:
        found = find_quote(quote, evidence)
        assert found is not None
        return found.start, found.end

    assert time("no ferry") == (1.4, 2.0)
    assert time("no ferry at all today") == (1.4, 5.5)
    assert time("today, no. Try tomorrow.") == (5.0, 10.0)
    assert time("at all") == (0.0, 9.0)


def test_a_quote_does_not_span_two_channels() -> None:
    both = clip(1, said("The ferry", 0.0, 1.0), said("leaves", 0.0, 1.0, "on_screen"))
    assert find_quote("The ferry leaves", both) is None
