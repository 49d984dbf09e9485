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
