"""Recorded results are replayed without the model."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO
from rankvideo_rag.models.vlm.recorded import RecordedVLM, load, prompt_digest

LABELS = ("yes", "no")


class Counting:
    """Answers by the length of the question, and counts what it is asked."""

    name = "counting:model@1"

    def __init__(self) -> None:
        self.asked: list[Prompt] = []
        self.broken = False

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        self.asked += prompts
        if self.broken:
            return [LabelLogprobs(None, "the server is gone")] * len(prompts)
        return [LabelLogprobs((-0.1 * len(str(prompt.user[0])), -1 / 3)) for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        self.asked += prompts
        return [Generation("é\n" * len(prompt.user), max_tokens) for prompt in prompts]


def frames(*, pixel: int = 7, time: float = 0.5, height: int = 32, width: int = 64) -> Frames:
    pixels = np.full((2, height, width, 3), 3, np.uint8)
    pixels[0, 0, 0, 0] = pixel
    return Frames(pixels, np.array([0.0, time]))


PROMPT = RANKVIDEO.prompt("a star", frames())


def recorder(path: Path) -> tuple[RecordedVLM, Counting]:
    source = Counting()
    return RecordedVLM(path, source), source


def test_a_replay_gives_the_results_of_the_model(tmp_path: Path) -> None:
    prompts = [PROMPT, RANKVIDEO.prompt("a blue circle", frames(pixel=9)), Prompt("", ("only words",), "<answer>")]
    recording, source = recorder(tmp_path / "run.jsonl")
    answers, texts = recording.label_logprobs(prompts, LABELS), recording.generate(prompts, max_tokens=5)
    assert answers == source.label_logprobs(prompts, LABELS)
    replay = load(str(tmp_path / "run.jsonl"))
    assert replay.label_logprobs(prompts[::-1], LABELS) == answers[::-1]  # to the last bit, in any order
    assert replay.generate(prompts, max_tokens=5) == texts
    assert replay.name == "recorded:counting:model@1"


def test_recorded_prompts_are_not_sent_to_the_model(tmp_path: Path) -> None:
    first, source = recorder(tmp_path / "run.jsonl")
    first.label_logprobs([PROMPT, PROMPT], LABELS)
    assert len(source.asked) == 1
    second, source = recorder(tmp_path / "run.jsonl")
    other = RANKVIDEO.prompt("a cat", frames())
    second.label_logprobs([PROMPT, other], LABELS)
    assert source.asked == [other]


@pytest.mark.parametrize(
    "other",
    [
        RANKVIDEO.prompt("a stop", frames()),
        RANKVIDEO.prompt("a star", frames(pixel=8)),
        RANKVIDEO.prompt("a star", frames(time=0.6)),
        RANKVIDEO.prompt("a star", frames(height=64, width=32)),
        PROMPT._replace(prefill="<answer>"),
        PROMPT._replace(system=""),
        PROMPT._replace(user=PROMPT.user[::-1]),
        PROMPT._replace(user=("Query: a star", "", *PROMPT.user[1:])),
    ],
    ids=["words", "one pixel", "a time", "shape", "prefill", "system", "order", "cut of the words"],
)
def test_any_change_of_the_frames_is_another_prompt(tmp_path: Path, other: Prompt) -> None:
    recorder(tmp_path / "run.jsonl")[0].label_logprobs([PROMPT], LABELS)
    assert prompt_digest(other) != prompt_digest(PROMPT)
    known, unknown = load(str(tmp_path / "run.jsonl")).label_logprobs([PROMPT, other], LABELS)
    assert known.values is not None
    assert unknown.values is None
    assert "holds no answer to this prompt" in str(unknown.reason)


def test_labels_and_lengths_that_were_not_recorded_are_refused(tmp_path: Path) -> None:
    recording, _ = recorder(tmp_path / "run.jsonl")
    recording.label_logprobs([PROMPT], LABELS)
    recording.generate([PROMPT], max_tokens=5)
    replay = load(str(tmp_path / "run.jsonl"))
    assert replay.label_logprobs([PROMPT], ("no", "yes"))[0].values is None
    with pytest.raises(ModelError, match="holds no answer"):
        replay.generate([PROMPT], max_tokens=6)


def test_a_failure_is_returned_but_not_recorded(tmp_path: Path) -> None:
    recording, source = recorder(tmp_path / "run.jsonl")
    source.broken = True
    assert recording.label_logprobs([PROMPT], LABELS)[0].reason == "the server is gone"
    source.broken = False
    assert recording.label_logprobs([PROMPT], LABELS)[0].values is not None


def test_an_abstention_is_recorded_as_one(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    dull = RANKVIDEO.prompt("what is the weather", frames())  # the pixel rule knows nothing of weather
    recorded = load_vlm("recorded", f"{file}=scripted").label_logprobs([dull], LABELS)
    assert recorded[0].abstained
    assert load_vlm("recorded", str(file)).label_logprobs([dull], LABELS) == recorded


def test_a_last_line_that_was_cut_off_is_ignored_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Killed while recording: cut anywhere in its last line, a file gives all the whole ones, and can be gone on with."""
    file = tmp_path / "run.jsonl"
    other = RANKVIDEO.prompt("a cat", frames())
    recorder(file)[0].label_logprobs([PROMPT, other], LABELS)
    whole = file.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (last + 1, last + 40, len(whole) - 1):
        file.write_bytes(whole[:cut])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            first, second = load(str(file)).label_logprobs([PROMPT, other], LABELS)
        assert "was cut off" in caplog.text
        assert first.values is not None
        assert second.values is None
        recording, source = recorder(file)
        recording.label_logprobs([PROMPT, other], LABELS)
        assert source.asked == [other]
        assert file.read_bytes() == whole


def test_a_recording_killed_in_its_first_line_starts_over(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(b'{"kind":"recor')
    recording, source = recorder(file)
    recording.label_logprobs([PROMPT], LABELS)
    assert len(load(str(file)).label_logprobs([PROMPT], LABELS)) == 1
    assert len(source.asked) == 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda lines: [lines[0], lines[1][:-9], lines[2]], "line 2"),
        (lambda lines: [lines[0], "", *lines[1:]], "line 2"),
        (lambda lines: [lines[0], lines[1], lines[2].replace("-0.33", "NaN #")], "line 3"),
        (lambda lines: [lines[0], lines[1], lines[2].replace('"values"', '"value"')], "line 3"),
        (lambda lines: [lines[0], lines[1].replace('["yes","no"]', '["yes"]'), lines[2]], "line 2 .*2 numbers for 1 labels"),
        (lambda lines: lines[1:], "line 1"),
        (lambda lines: [*lines, lines[0]], "line 4"),
        (lambda lines: ['{"some":"json"}'], "line 1"),
        (lambda lines: [lines[0].replace('"version":1', '"version":2'), *lines[1:]], "line 1"),
    ],
)
def test_damage_anywhere_else_is_an_error_with_its_line(tmp_path: Path, damage: object, words: str) -> None:
    file = tmp_path / "run.jsonl"
    recorder(file)[0].label_logprobs([PROMPT, RANKVIDEO.prompt("a cat", frames())], LABELS)
    lines = file.read_text().splitlines()
    assert len(lines) == 3
    file.write_text("\n".join(damage(lines)) + "\n")  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        load(str(file))


def test_two_models_never_share_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    recorder(file)[0].label_logprobs([PROMPT], LABELS)
    with pytest.raises(InputError, match=r"counting:model@1, not of scripted:patterns"):
        load_vlm("recorded", f"{file}=scripted")


@pytest.mark.parametrize(
    ("model", "words"),
    [(None, "needs a file"), ("missing.jsonl", "there is no recording"), ("run.jsonl=fortune:teller", "no backend 'fortune'")],
)
def test_what_cannot_be_recorded_or_replayed_is_an_error(model: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_vlm("recorded", model)


def test_an_empty_file_is_not_a_recording(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").touch()
    with pytest.raises(InputError, match="empty"):
        load(str(tmp_path / "run.jsonl"))


def test_recordings_are_documented_json_lines(tmp_path: Path) -> None:
    recorder(tmp_path / "run.jsonl")[0].label_logprobs([Prompt("", ("abc",))], LABELS)
    head, line = map(json.loads, (tmp_path / "run.jsonl").read_text().splitlines())
    assert head == {"kind": "recording", "version": 1, "model": "counting:model@1"}
    assert (line["labels"], line["values"]) == (["yes", "no"], [-0.1 * 3, -1 / 3])
