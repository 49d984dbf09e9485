"""Training examples in the published format (hltcoe/RankVideo-Dataset, `training_data.json`): a JSON object on each line.

This file knows no models and opens no videos.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field

from rankvideo_rag.formats.strict import read_records
from rankvideo_rag.schema import Record


class VideoEvidence(Record):
    """What a teacher without eyes was shown of a video."""

    caption: str = ""
    asr: str = ""


class FirstStage(Record):
    """Where first-stage retrieval had the video."""

    rank: int | None = Field(None, ge=0)
    score: float | None = None


class TrainingExample(Record):
    """A query and a video, with the judgement of people and that of a teacher. What is not known is None."""

    query_id: str = Field(min_length=1)
    query: str
    doc_id: str = Field(min_length=1)
    videos: tuple[str, ...] = ()  # paths; the first is watched
    true_label: int | None = Field(None, ge=0)  # relevant from 1
    teacher_p_yes: float | None = Field(None, ge=0, le=1)
    evidence: VideoEvidence | None = None
    teacher_reasoning: str | None = None
    teacher_label: int | None = Field(None, ge=0)
    teacher_logit_delta: float | None = None  # nats, logp(yes) - logp(no)
    meta: FirstStage | None = None

    @property
    def relevant(self) -> bool | None:
        """By people's judgement, else by the teacher's; None without either, where the published code takes a negative."""
        label = self.teacher_label if self.true_label is None else self.true_label
        return None if label is None else label >= 1


def read_examples(path: str | Path) -> Iterator[TrainingExample]:
    """The examples of a file, read as they are asked for.

    Raises InputError, naming file and line, for what is no JSON, has a field that the format has not, lacks one that it
    needs (query_id, query, doc_id), or holds a value that cannot be, such as a probability of 1.2.
    """
    return read_records(path, TrainingExample, what="training example")


def write_examples(path: str | Path, examples: Iterable[TrainingExample]) -> None:
    """Write examples, one on each line, every field in its place."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{example.model_dump_json()}\n" for example in examples)
