"""Read and write training examples in the published format (hltcoe/RankVideo-Dataset, `training_data.json`): JSON Lines."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field

from rankvideo_rag.formats.strict import read_records
from rankvideo_rag.schema import Record


class VideoEvidence(Record):
    """The text that a text-only teacher read of a video."""

    caption: str = ""
    asr: str = ""


class FirstStage(Record):
    """The video's place in first-stage retrieval."""

    rank: int | None = Field(None, ge=0)
    score: float | None = None


class TrainingExample(Record):
    """A query and a video, with human and teacher judgements. What is unknown is None."""

    query_id: str = Field(min_length=1)
    query: str
    doc_id: str = Field(min_length=1)
    videos: tuple[str, ...] = ()  # paths; the first is used
    true_label: int | None = Field(None, ge=0)  # human grade, relevant from 1
    teacher_p_yes: float | None = Field(None, ge=0, le=1)
    evidence: VideoEvidence | None = None
    teacher_reasoning: str | None = None
    teacher_label: int | None = Field(None, ge=0)
    teacher_logit_delta: float | None = None  # nats, logp(yes) - logp(no)
    meta: FirstStage | None = None

    @property
    def relevant(self) -> bool | None:
        """By the human label, else the teacher's; None without either, where the published code assumes a negative."""
        label = self.teacher_label if self.true_label is None else self.true_label
        return None if label is None else label >= 1


def read_examples(path: str | Path) -> Iterator[TrainingExample]:
    """Yield the examples of a file.

    Raises InputError, naming file and line, for invalid JSON, an unknown field, a missing one (query_id, query, doc_id), or an
    impossible value, such as a probability of 1.2.
    """
    return read_records(path, TrainingExample, what="training example")


def write_examples(path: str | Path, examples: Iterable[TrainingExample]) -> None:
    """Write examples, one a line, with every field."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{example.model_dump_json()}\n" for example in examples)
