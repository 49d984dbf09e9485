"""Claims are verified against the text and frames of the evidence."""

import json

import pytest
from support.answering import FERRY, SIGN, clip, said, verify

from rankvideo_rag.answering.answers import NOT_ANSWERED
from rankvideo_rag.answering.verification import QUOTED_INSTEAD
from rankvideo_rag.schema import to_json

TRUTH = "“The ferry to Ostrey leaves at nine.” [Video 1 @ 00:02]"
WHEN = "When does the ferry to Ostrey leave?"


@pytest.mark.parametrize(
    "written", ["{" * 20_000, '{"a":' * 20_000, "[1]" * 20_000, "[" * 20_000, "“" * 20_000, "[99999999999999999]"]
)
def test_malformed_replies_of_any_size_give_no_answer(written: str) -> None:
    answer = verify("when?", written, [FERRY])
    assert (answer.text, answer.answered) == (NOT_ANSWERED, False)


def test_the_truncation_of_an_endless_reply_is_reported() -> None:
    long = verify("when?", "It leaves at nine [1]. " * 60, [FERRY])
    assert len(long.claims) == 1
    assert [claim.text for claim in long.removed_claims] == ["(text after 50 claims)"]
    longer = verify("when?", "It leaves at nine [1]. " + "and on " * 10_000, [FERRY])
    assert longer.text == "It leaves at nine [Video 1 @ 00:00]."
    assert longer.removed_claims[-1].text == "(text after 50,000 characters)"


@pytest.mark.parametrize(
    ("written", "text", "status", "removed"),
    [
        ("They say “leaves at nine” [1].", "They say “leaves at nine” [Video 1 @ 00:04].", "quoted", None),
        ("It leaves at 9 [1].", "It leaves at 9 [Video 1 @ 00:00].", "cited", None),
        ("It departs at nine [1].", f"It departs at nine (not checked) [Video 1 @ 00:00]. {TRUTH}", "unchecked", None),
        ("Die Fähre geht um neun [1].", f"Die Fähre geht um neun (not checked) [Video 1 @ 00:00]. {TRUTH}", "unchecked", None),
        ("It leaves at 11 [1].", None, None, "the evidence has another time"),
        ("It leaves at noon [1].", None, None, "the evidence has another time"),
        ("The ferry to Ostrey does not leave at nine [1].", None, None, "it denies what the evidence affirms"),
        ("So it is [1].", None, None, "the evidence says nothing of it"),
        ("Yes [1].", None, None, "the evidence says nothing of it"),
        ("“the ferry to Ostrey leaves at noon” [1].", None, None, "it contains a quote that is not in the clips it cites"),
        ("The ferry to Ostrey leaves [2].", None, None, "the clips it cites are not about the question, and others are"),
        ("It leaves at nine.", None, None, "it cites nothing"),
        ("It leaves at nine [7].", None, None, "none of its citations is valid"),
        (
            "They say “the ferry leaves at noon” [1].",
            None,
            None,
            "it contains a quote that is not in the clips it cites",
        ),
        ("It says “HARBOUR ROAD 17” [1].", None, None, "it contains a quote that is not in the clips it cites"),
    ],
)
def test_a_claim_is_shown_if_the_cited_text_supports_it(
    written: str, text: str | None, status: str | None, removed: str | None
) -> None:
    answer = verify(WHEN, written, [FERRY, SIGN])
    if removed is None:
        assert (answer.claims[0].status, answer.text) == (status, text)
        assert answer.removed_claims == ()
    else:
        assert [claim.reason for claim in answer.removed_claims] == [removed]
        assert answer.reason == QUOTED_INSTEAD
        assert answer.text == TRUTH


def test_a_valid_quote_replaces_a_rejected_claim() -> None:
    written = '{"claims": [{"text": "Die Fähre fährt um zehn.", "evidence": [1], "quote": "leaves at nine"}]}'
    answer = verify(WHEN, written, [FERRY])
    assert answer.text == "“leaves at nine.” [Video 1 @ 00:04]"
    assert answer.citations[0].channel == "speech"
    assert answer.removed_claims[0].text == "Die Fähre fährt um zehn."


def test_rejected_claims_can_be_marked() -> None:
    written = "It leaves at nine [1]. It leaves at ten [1]. It is red [1]. Everybody knows."
    answer = verify("when?", written, [FERRY], unsupported="mark")
    assert answer.text == (
        "It leaves at nine [Video 1 @ 00:00]. It leaves at ten (contradicted) [Video 1 @ 00:00]. "
        "It is red (not supported) [Video 1 @ 00:00]. Everybody knows (not supported)."
    )
    assert [claim.status for claim in answer.claims] == ["cited", "contradicted", "unsupported", "unsupported"]
    alone = verify("when?", "It is red [1].", [FERRY], unsupported="mark")
    assert (alone.text, alone.claims) == (NOT_ANSWERED, ())


def test_a_claim_is_contradicted_if_one_of_its_clips_says_otherwise() -> None:
    other = clip(2, said("The ferry leaves at noon.", 0.0, 4.0))
    answer = verify(WHEN, "The ferry leaves at noon [1, 2].", [FERRY, other])
    assert [(claim.status, claim.reason) for claim in answer.removed_claims] == [
        ("contradicted", "the clips it cites disagree")
    ]


def test_a_link_is_not_shown_as_unchecked() -> None:
    answer = verify(WHEN, "The ferry has a page, http://evil.example [1].", [FERRY])
    assert [claim.status for claim in answer.removed_claims] == ["unsupported"]


def test_frames_do_not_override_words_that_contradict() -> None:
    seen = FERRY._replace(margin=2.0)
    written = "It leaves at noon [1]. It is a red ferry [1]."
    answer = verify(WHEN, written, [seen], clips_with_frames=frozenset({1}))
    assert [claim.status for claim in answer.claims][:1] == ["seen"]
    assert [claim.status for claim in answer.removed_claims] == ["contradicted"]


def test_claims_about_frames_are_marked_as_seen() -> None:
    relevant, irrelevant = clip(1, margin=2.0), clip(2, start=30, end=60, margin=-2.0)
    written = "A red disc rolls [1]. A blue disc rolls [2]."
    answer = verify("what rolls?", written, [relevant, irrelevant], clips_with_frames=frozenset({1, 2}))
    assert answer.text == "A red disc rolls (seen) [Video 1 @ 00:00]."
    assert [(claim.status, claim.support) for claim in answer.claims] == [("seen", None)]
    assert answer.citations[0].channel == "visual"
    without_frames = verify("what rolls?", written, [relevant, irrelevant])
    assert without_frames.text == "Seen in [Video 1 @ 00:00]."  # what RankVideo found, not what the model says
    assert without_frames.reason == QUOTED_INSTEAD


def test_omitted_evidence_is_added() -> None:
    other = clip(3, said("The ferry to Ostrey leaves at ten in May.", 1.0, 5.0))
    answer = verify(WHEN, "The ferry to Ostrey leaves at nine [1].", [FERRY, SIGN, other])
    assert answer.text == (
        "The ferry to Ostrey leaves at nine [Video 1 @ 00:00]. “The ferry to Ostrey leaves at ten in May.” [Video 3 @ 00:01]"
    )


def test_support_is_the_share_of_terms_in_the_cited_text() -> None:
    # leaves and nine of leaves, nine and quay; both of leaves and nine.
    answer = verify("when?", "It leaves the quay at nine [1]. It leaves at nine [1]. It is red [1].", [FERRY])
    assert [claim.support for claim in answer.claims] == [pytest.approx(2 / 3), 1.0]
    assert answer.support == pytest.approx((2 / 3 + 1.0 + 0.0) / 3)


@pytest.mark.parametrize(
    ("written", "text", "removed"),
    [
        ("At nine [1].", "At nine [Video 1 @ 00:00].", []),
        ("At nine [1 @ 00:02-00:05].", "At nine [Video 1 @ 00:02].", []),
        ("At nine [1, 2].", "At nine [Video 1 @ 00:00] [Video 2 @ 00:10].", []),
        ("At nine [1] [9].", "At nine [Video 1 @ 00:00].", [("[9]", "no clip 9 was shown")]),
        ("At nine [0] [1].", "At nine [Video 1 @ 00:00].", [("[0]", "no clip 0 was shown")]),
        (
            "A sign [2 @ 03:00]. At nine [1].",
            "At nine [Video 1 @ 00:00].",
            [("[2 @ 03:00]", "03:00 lies outside clip 2, which is 00:10-00:20")],
        ),
        (
            "At nine [1] [1 @ 00:09-00:03].",
            "At nine [Video 1 @ 00:00].",
            [("[1 @ 00:09-00:03]", "it ends at 00:03, before it begins")],
        ),
    ],
)
def test_invalid_citations_are_removed_and_reported(written: str, text: str, removed: list[tuple[str, str]]) -> None:
    answer = verify("when?", written, [FERRY, SIGN])
    assert answer.text == text
    assert [(r.marker, r.reason) for r in answer.removed_citations] == removed


def test_without_a_valid_citation_the_archive_does_not_answer() -> None:
    answer = verify("when?", "It leaves at noon [7].", [FERRY])
    assert (answer.text, answer.answered) == (NOT_ANSWERED, False)
    assert len(answer.removed_citations) == 1


def test_json_has_claims_with_citation_indices_and_no_removed_text() -> None:
    answer = verify(WHEN, "“leaves at nine” [1]. It leaves at ten [1]. So [9].", [FERRY, SIGN])
    data = to_json(answer, [])
    assert data["claims"] == [
        {"text": "“leaves at nine”.", "status": "quoted", "support": 1.0, "reason": None, "citations": [0]}
    ]
    assert data["citations"][0] == {
        "video_id": "v1",
        "path": "/videos/v1.mp4",
        "start": 4.0,
        "end": 6.0,
        "quote": "leaves at nine.",
    }
    assert len(data["removed_claims"]) == 2
    assert "at ten" not in json.dumps(data)
