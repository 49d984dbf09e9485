"""Parsing a model's reply into claims."""

import pytest

from rankvideo_rag.answering.parsing import parse_claims


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("It leaves at nine [1]. It is late [2, 3].", [("It leaves at nine.", [1], []), ("It is late.", [2, 3], [])]),
        ("It leaves at nine. [1] It is late. [2]", [("It leaves at nine.", [1], []), ("It is late.", [2], [])]),
        ("It leaves at nine. It is late [2].", [("It leaves at nine.", [2], []), ("It is late.", [2], [])]),
        ("It leaves at nine [1].\n\nSo they say.", [("It leaves at nine.", [1], []), ("So they say.", [], [])]),
        ("- It leaves at nine [1]\n2. It is late [2]", [("It leaves at nine", [1], []), ("It is late", [2], [])]),
        ("Dr. Wu says: “nine sharp” [1].", [("Dr. Wu says: “nine sharp”.", [1], ["nine sharp"])]),
        ("“It is nine.” [1] So.", [("“It is nine.”", [1], ["It is nine."]), ("So.", [], [])]),
        ("渡船九点出发。[1] 它不晚。[2]", [("渡船九点出发。", [1], []), ("它不晚。", [2], [])]),
        ('{"claims": [{"text": "Nine.", "evidence": [1], "quote": "at nine"}]}', [("Nine.", [1], ["at nine"])]),
        ('Sure:\n```json\n{"claims": [{"claim": "Nine.", "citations": ["[2 @ 00:01]"]}]}\n```', [("Nine.", [2], [])]),
        ('{"claims": [{"text": "Nine.", "evidence": 1}, {"text": "cut sho', [("Nine.", [1], [])]),
        ('{"answer": "It leaves at nine [1]."}', [("It leaves at nine.", [1], [])]),
        ('{"claims": [{"text": 9}, "prose", {"text": "Nine.", "evidence": [null, true, -1]}]}', [("Nine.", [0, 0, 0], [])]),
        ("", []),
    ],
)
def test_claims_are_parsed_from_prose_and_json(written: str, expected: list[tuple[str, list[int], list[str]]]) -> None:
    assert [(d.text, [m.number for m in d.markers], list(d.quotes)) for d in parse_claims(written)] == expected


@pytest.mark.parametrize(
    ("written", "numbers", "text"),
    [
        ("It leaves at nine (1).", [1], "It leaves at nine."),
        ("It leaves at nine [^1].", [1], "It leaves at nine."),
        ("It leaves at nine.[^1]", [1], "It leaves at nine."),
        ("It leaves at nine [Source 1].", [1], "It leaves at nine."),
        ("It leaves at nine (Evidence 2).", [2], "It leaves at nine."),
        ("It leaves at nine [Evidence 2, Evidence 3].", [2, 3], "It leaves at nine."),
        ("It leaves at nine【1】.", [1], "It leaves at nine."),
        ("It leaves at nine【1†source】.", [1], "It leaves at nine."),
        ("It leaves at nine [1-3].", [1, 2, 3], "It leaves at nine."),
        ("It leaves at nine [1–2, 5].", [1, 2, 5], "It leaves at nine."),
        ("It leaves at nine [1][2].", [1, 2], "It leaves at nine."),
        ("It leaves at nine (1, 3).", [1, 3], "It leaves at nine."),
        ("It leaves at nine^1^.", [1], "It leaves at nine."),
        ("It leaves at nine^[2]^.", [2], "It leaves at nine."),
        ("It leaves at nine¹.", [1], "It leaves at nine."),
        ("It leaves at nine.¹", [1], "It leaves at nine."),
        ("It leaves at nine (see 1).", [1], "It leaves at nine."),
        ("It leaves at nine (siehe Quelle 2).", [2], "It leaves at nine."),
        ("它九点出发（1）。", [1], "它九点出发。"),
        ("它九点出发【来源 2】。", [2], "它九点出发。"),
        ("(1) It leaves at nine [2].", [2], "It leaves at nine."),  # the number of a list
        ("1) It leaves at nine (2).", [2], "It leaves at nine."),
        ("It opened that year (2019) [1].", [1], "It opened that year (2019)."),
        ("It weighs a lot (640 kg) [1].", [1], "It weighs a lot (640 kg)."),
        ("It weighs a lot (007) [1].", [1], "It weighs a lot (007)."),
        ("It covers 40 m² and 12 km² [1].", [1], "It covers 40 m² and 12 km²."),
        ("It was 5^2 [1].", [1], "It was 5^2."),
        ("It leaves... at nine [1].", [1], "It leaves... at nine."),
        ("It leaves at nine [0-99999] [1].", [0, 99999, 1], "It leaves at nine."),
    ],
)
def test_citation_styles_of_language_models_are_read(written: str, numbers: list[int], text: str) -> None:
    (claim,) = parse_claims(written)
    assert ([marker.number for marker in claim.markers], claim.text) == (numbers, text)


@pytest.mark.parametrize(
    "written", ["(1 @ 00:05-00:09)", "[Source 1, 00:05-00:09]", "[1 at 00:05-00:09]", "【1 @ 00:05-00:09】"]
)
def test_times_are_read_in_every_style(written: str) -> None:
    (claim,) = parse_claims(f"It leaves at nine {written}.")
    assert [(marker.number, marker.start, marker.end) for marker in claim.markers] == [(1, 5.0, 9.0)]


def test_evidence_of_a_json_claim_may_be_named_in_any_style() -> None:
    written = '{"claims": [{"text": "Nine.", "evidence": ["Source 1", "[^2]", "(3)", "4-5"]}]}'
    assert [marker.number for marker in parse_claims(written)[0].markers] == [1, 2, 3, 4, 5]
