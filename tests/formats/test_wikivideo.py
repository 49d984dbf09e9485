"""WikiVideo: topics, grades and claims."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.datasets import WIKIVIDEO_TOPIC as TOPIC

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.wikivideo import read_wikivideo


def test_grades_and_claims_are_read_and_oddities_noted(write_file: Callable[[Any], Path]) -> None:
    found = read_wikivideo(write_file({"2018_eruption": TOPIC}))
    assert found.queries == {"2018_eruption": "2018 eruption"}
    assert found.qrels == {"2018_eruption": {"yt1": 3, "yt2": 2, "yt3": 1}}
    assert found.claims == {"2018_eruption": {"c1": frozenset(["yt1", "yt3"]), "c2": frozenset()}}
    assert found.claim_texts == {"2018_eruption": {"c1": "It erupted", "c2": "Nobody shows it"}}
    assert [note.partition(": ")[2] for note in found.notes] == [
        "videos without a grade, taken as grade 1: 1",
        "supporting videos named as a link (watch?v=…), taken as the video: 1",
    ]


def test_videos_can_have_their_multivent_ids(write_file: Callable[[Any], Path]) -> None:
    found = read_wikivideo(write_file({"t": TOPIC}), multivent_ids=True)
    assert found.qrels == {"t": {"19202": 3, "43000": 2, "yt3": 1}}
    assert found.claims["t"]["c1"] == frozenset(["19202", "yt3"])
    assert any("have no number in MultiVENT 2.0, under their own id: 1" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"videos": None}, "'t': an object of videos is needed"),
        ({"videos": {"yt1": {"relevance": "3"}}}, "'yt1': relevance = \"3\" is not a whole number"),
        (
            {"claims_to_supporting_videos": {"c": {"supporting_videos": ["yt9"]}}},
            "claim 1: the supporting video 'yt9' is not among",
        ),
        ({"claims_to_supporting_videos": {"c": {"supporting_videos": "yt1"}}}, "is not a list of video ids"),
        ({"claims_to_supporting_videos": {" ": {"supporting_videos": []}}}, "a claim = "),
    ],
)
def test_faulty_topics_are_refused(write_file: Callable[[Any], Path], change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        read_wikivideo(write_file({"t": {**TOPIC, **change}}))
    assert words in str(error.value)
