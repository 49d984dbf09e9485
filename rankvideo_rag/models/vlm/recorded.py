"""Verdicts recorded once and replayed anywhere: a run on a GPU becomes a test on a laptop, without the model.

`FILE` replays; `FILE=backend:model` asks that backend for what the file does not hold yet, and writes it down. A file is
JSON Lines: the model's name first, then one answer a line, found again by what the model was shown, to the last pixel.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import VLM, Generation, LabelLogprobs, Prompt, load_vlm
from rankvideo_rag.schema import Record

log = logging.getLogger(__name__)
_SETTING = "reranker_model"


class Header(Record):
    """The first line: whose answers these are."""

    kind: Literal["recording"] = "recording"
    version: Literal[1] = 1
    model: str


class LabelsLine(Record):
    """What `label_logprobs` gave for one prompt."""

    kind: Literal["labels"] = "labels"
    prompt: str  # sha256, see `digest`
    labels: tuple[str, ...]
    values: tuple[float, ...] | None
    reason: str | None = None
    abstained: bool = False


class GenerationLine(Record):
    """What `generate` gave for one prompt."""

    kind: Literal["generation"] = "generation"
    prompt: str
    max_tokens: int
    text: str
    tokens: int


_Line = Annotated[Header | LabelsLine | GenerationLine, Field(discriminator="kind")]
_LINE: TypeAdapter[Header | LabelsLine | GenerationLine] = TypeAdapter(_Line)


class _Labels(NamedTuple):
    prompt: str
    labels: tuple[str, ...]


class _Text(NamedTuple):
    prompt: str
    max_tokens: int


def load(model: str | None, *, device: str | None = None) -> "RecordedVLM":
    """Replay `FILE`, or record into it what `FILE=backend:model` answers. The device is the recorded backend's."""
    if not model:
        raise InputError(f"backend 'recorded' needs a file: set {_SETTING} to FILE, or to FILE=backend:model to record")
    name, _, source = model.partition("=")
    path = Path(name).expanduser()
    if not source:
        if device is not None:
            raise InputError(f"device = {device!r}: a recording runs no model, leave the device out")
        if not path.is_file():
            raise InputError(f"there is no recording {name!r}: make one with {_SETTING} = {name}=backend:model")
        return RecordedVLM(path, None)
    backend, _, of_backend = source.partition(":")
    return RecordedVLM(path, load_vlm(backend, of_backend or None, device=device))


class RecordedVLM:
    """Answers from a file; where a model stands behind it, that is asked for the rest, and its answers are kept.

    One process at a time may record into a file. Threads may share this object.
    """

    def __init__(self, path: Path, source: VLM | None) -> None:
        self._path = path
        self._source = source
        self._lock = Lock()
        self._labels: dict[_Labels, LabelLogprobs] = {}
        self._texts: dict[_Text, Generation] = {}
        self._model: str | None = None
        if path.exists():
            self._read()
        if source is not None:
            self._begin(source)

    @property
    def name(self) -> str:
        """The recorded model's name, marked."""
        return f"recorded:{self._model}"

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """What was recorded for each prompt and these labels, in this order; a reason for a prompt that was not recorded."""
        keys = [_Labels(prompt_digest(prompt), tuple(labels)) for prompt in prompts]
        with self._lock:
            new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._labels}
            fresh: dict[_Labels, LabelLogprobs] = {}
            if self._source is not None and new:
                fresh = dict(zip(new, self._source.label_logprobs(list(new.values()), labels), strict=True))
                # A failure is not kept: another day the model may answer.
                self._keep_labels({key: one for key, one in fresh.items() if one.values is not None or one.abstained})
            known = fresh | self._labels
            return [known.get(key, LabelLogprobs(None, self._unknown(key.prompt))) for key in keys]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """What was recorded for each prompt and this length. Raises ModelError for a prompt that was not recorded."""
        keys = [_Text(prompt_digest(prompt), max_tokens) for prompt in prompts]
        with self._lock:
            new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._texts}
            if self._source is not None and new:
                texts = self._source.generate(list(new.values()), max_tokens=max_tokens)
                self._keep_texts(dict(zip(new, texts, strict=True)))
            elif new:
                raise ModelError(self._unknown(next(iter(new)).prompt))
            return [self._texts[key] for key in keys]

    def _unknown(self, prompt: str) -> str:
        return (
            f"{self._path.name} holds no answer to this prompt ({prompt[:12]}): other words, frames, times, labels or length. "
            f"Record it with {_SETTING} = {self._path.name}=backend:model"
        )

    def _keep_labels(self, answers: dict[_Labels, LabelLogprobs]) -> None:
        self._labels |= answers
        self._append([LabelsLine(**key._asdict(), **answer._asdict()) for key, answer in answers.items()])

    def _keep_texts(self, answers: dict[_Text, Generation]) -> None:
        self._texts |= answers
        self._append([GenerationLine(**key._asdict(), **answer._asdict()) for key, answer in answers.items()])

    def _begin(self, source: VLM) -> None:
        if self._model is None:
            self._model = source.name
            self._append([Header(model=source.name)])
        elif self._model != source.name:
            raise InputError(f"{self._path} holds answers of {self._model}, not of {source.name}: record into another file")

    def _append(self, lines: Sequence[Record]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(line.model_dump_json() + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> None:
        whole, _, unfinished = self._path.read_bytes().rpartition(b"\n")
        if unfinished:
            log.warning("%s ends in half a line: left out, as recording was cut short there", self._path)
            if self._source is not None:
                os.truncate(self._path, len(whole) + 1 if whole else 0)
        for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
            try:
                self._take(_LINE.validate_json(line), number)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                raise InputError(f"{self._path}, line {number}: {first['msg']}. It is damaged, or no recording") from error
        if self._model is None and self._source is None:
            raise InputError(f"{self._path} is no recording: it is empty")

    def _take(self, line: Record, number: int) -> None:
        if isinstance(line, Header) != (number == 1):
            raise InputError(f"{self._path}, line {number}: the first line, and no other, says whose answers these are")
        if isinstance(line, Header):
            self._model = line.model
        elif isinstance(line, LabelsLine):
            if line.values is not None and len(line.values) != len(line.labels):
                raise InputError(f"{self._path}, line {number}: {len(line.values)} numbers for {len(line.labels)} labels")
            self._labels[_Labels(line.prompt, line.labels)] = LabelLogprobs(line.values, line.reason, line.abstained)
        elif isinstance(line, GenerationLine):
            self._texts[_Text(line.prompt, line.max_tokens)] = Generation(line.text, line.tokens)


def prompt_digest(prompt: Prompt) -> str:
    """sha256 over everything the model is shown: words, pixels, times, and their order."""
    found = hashlib.sha256()
    for text in (prompt.system, prompt.prefill):
        _add(found, b"text", text.encode())
    for part in prompt.user:
        if isinstance(part, Frames):
            _add(found, b"shape", repr(part.pixels.shape).encode())
            _add(found, b"pixels", part.pixels.tobytes())
            _add(found, b"times", part.times.astype("<f8").tobytes())
        else:
            _add(found, b"text", part.encode())
    return found.hexdigest()


def _add(found: "hashlib._Hash", kind: bytes, content: bytes) -> None:
    """With its kind and length before it, so that no two prompts give the same bytes."""
    found.update(b"%s %d\0" % (kind, len(content)))
    found.update(content)
