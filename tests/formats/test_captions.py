"""Caption sets: MSR-VTT, DiDeMo, ActivityNet and pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.datasets import DIDEMO

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import compute_measures
from rankvideo_rag.formats.captions import Layout, read_captions


@pytest.mark.parametrize("column", ["sentence", "sentences"])
def test_msrvtt_test_captions_are_queries_with_one_video(write_file: Callable[[Any], Path], column: str) -> None:
    text = f"key,vid_key,video_id,{column}\nret0,msr9770,video9770,a person is connecting something\nret1,msr1,video1,cars\n"
    found = read_captions(write_file(text), "msrvtt")
    assert found.queries == {"ret0": "a person is connecting something", "ret1": "cars"}
    assert found.qrels == {"ret0": {"video9770": 1}, "ret1": {"video1": 1}}
    assert found.moments == {}


def test_msrvtt_annotations_keep_every_caption(write_file: Callable[[Any], Path]) -> None:
    rows = [{"sen_id": 7, "video_id": "video1", "caption": "a dog"}, {"sen_id": 8, "video_id": "video1", "caption": "the dog"}]
    found = read_captions(write_file({"info": {}, "videos": [], "sentences": rows}), "msrvtt")
    assert (found.queries, found.qrels) == ({"7": "a dog", "8": "the dog"}, {"7": {"video1": 1}, "8": {"video1": 1}})


def test_didemo_segments_are_five_seconds_and_every_annotation_is_a_moment(write_file: Callable[[Any], Path]) -> None:
    found = read_captions(write_file(DIDEMO), "didemo")
    assert found.moments == {"1": {"a_1#t=20,25": 1, "a_1#t=0,10": 1}, "2": {"a_1#t=0,5": 1}}
    assert found.qrels == {"1": {"a_1": 1}, "2": {"a_1": 1}}
    assert [note.partition(": ")[2] for note in found.notes] == ["videos with two file names, taken as one: 1"]
    assert compute_measures({"1": ["a_1#t=20,25"], "2": ["a_1#t=5,10"]}, found.moments, ["R(tIoU=0.5)@1"]) == {
        "R(tIoU=0.5)@1": 0.5
    }


def test_a_paragraph_joins_all_captions_of_a_video(write_file: Callable[[Any], Path]) -> None:
    found = read_captions(write_file(DIDEMO), "didemo", paragraphs=True)
    assert (found.queries, found.qrels, found.moments) == ({"a_1": "a bug rocks"}, {"a_1": {"a_1": 1}}, {})


def test_activitynet_captions_have_times_and_empty_spans_are_counted(write_file: Callable[[Any], Path]) -> None:
    video = {
        "duration": 82.73,
        "timestamps": [[0.83, 19.86], [20, 20], [60.4, 50]],
        "sentences": ["A man.", " He runs.", "End."],
    }
    found = read_captions(write_file({"v_x": video}), "activitynet")
    assert found.queries == {"v_x.0": "A man.", "v_x.1": "He runs.", "v_x.2": "End."}
    assert found.moments == {"v_x.0": {"v_x#t=0.83,19.86": 1}}
    assert set(found.qrels) == {"v_x.0", "v_x.1", "v_x.2"}
    assert found.notes[0].endswith("spans that do not end after they begin, left out: 2")


def test_pairs_number_the_captions_of_a_video(write_file: Callable[[Any], Path]) -> None:
    rows = [{"video": "folder/x.mp4", "caption": ["one", "two"]}, {"video": "y.mp4", "caption": "three"}]
    found = read_captions(write_file([*rows, {"video": "folder/x.mp4", "caption": "four"}]), "pairs")
    assert found.queries == {"x.0": "one", "x.1": "two", "y.0": "three", "x.2": "four"}


@pytest.mark.parametrize(
    ("layout", "content", "words"),
    [
        ("msrvtt", "key,video_id,sentence\nret0,v,a\nret0,w,b\n", "the caption 'ret0' comes a second time"),
        ("msrvtt", "key,video_id,caption\nret0,v,a\n", "line 1, the header, has no column sentence"),
        ("msrvtt", {"videos": []}, "the captions = null is not a list"),
        ("didemo", [{"annotation_id": 1, "video": "v", "description": "", "times": []}], "entry 1: the caption = "),
        ("didemo", [{"annotation_id": 1, "video": "v", "description": "a", "times": [[1]]}], "[1] is not a pair"),
        ("didemo", [{"annotation_id": 1, "description": "a", "times": []}], "entry 1: the video = null is not a text"),
        ("activitynet", {"v": {"timestamps": [[0, 1]], "sentences": []}}, "0 sentences and 1 timestamps"),
        ("activitynet", {"v": {"timestamps": [[-1, 1]], "sentences": ["a"]}}, "a time of -1 lies before the video"),
        ("activitynet", {"v": {"timestamps": [["0", 1]], "sentences": ["a"]}}, 'a time = "0" is not a finite number'),
        ("pairs", [{"video": "my video.mp4", "caption": "a"}], "must be one word"),
        ("pairs", [], "holds no caption"),
    ],
)
def test_faulty_captions_are_refused(write_file: Callable[[Any], Path], layout: Layout, content: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_captions(write_file(content), layout)
    assert words in str(error.value)
