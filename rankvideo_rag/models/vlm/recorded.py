"""Record a model's answers once and replay them anywhere: a run on a GPU becomes a test on a laptop, without the model.

`FILE` replays; `FILE=backend:model` asks that backend for what the file does not hold yet, and appends it. A file is JSON
Lines: a header with the model's name, then one answer a line, looked up by a hash of everything that the model was shown.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.formats.resumable_jsonl import Header, read_resumable
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import VLM, Generation, LabelLogprobs, Prompt, load_vlm
from rankvideo_rag.schema import Record

_SETTING = "reranker_model"


class _Header(Record):
    kind: Literal["recording"] = "recording"
    version: Literal[1] = 1
    model: str


class _LabelsLine(Record):
    """What `label_logprobs` returned for one prompt."""

    kind: Literal["labels"] = "labels"
    prompt: str  # see `prompt_digest`
    labels: tuple[str, ...]
    values: tuple[float, ...] | None
    reason: str | None = None
    abstained: bool = False

    @model_validator(mode="after")
    def _a_value_for_each_label(self) -> Self:
        if self.values is not None and len(self.values) != len(self.labels):
            raise ValueError(f"{len(self.values)} numbers for {len(self.labels)} labels")
        return self


class _GenerationLine(Record):
    """What `generate` returned for one prompt."""

    kind: Literal["generation"] = "generation"
    prompt: str
    max_tokens: int
    text: str
    tokens: int


_Line = _LabelsLine | _GenerationLine
_LINE: TypeAdapter[_Line] = TypeAdapter(Annotated[_Line, Field(discriminator="kind")])


class _LabelsKey(NamedTuple):
    prompt: str
    labels: tuple[str, ...]


class _TextKey(NamedTuple):
    prompt: str
    max_tokens: int


def load(model: str | None, *, device: str | None = None) -> "RecordedVLM":
    """Replay `FILE`, or record into it what `FILE=backend:model` answers, on that backend's device."""
    if not model:
        raise InputError(f"backend 'recorded' needs a file: set {_SETTING} to FILE, or to FILE=backend:model to record")
    name, _, source = model.partition("=")
    path = Path(name).expanduser()
    if not source:
        if device is not None:
            raise InputError(f"device = {device!r}: a recording runs no model, omit the device")
        if not path.is_file():
            raise InputError(f"there is no recording {name!r}: make one with {_SETTING} = {name}=backend:model")
        return RecordedVLM(path, None)
    backend, _, of_backend = source.partition(":")
    return RecordedVLM(path, load_vlm(backend, of_backend or None, device=device))


class RecordedVLM:
    """Answers from a file. With a source model, other prompts are answered by that model and recorded.

    One process at a time may record into a file. Safe to use from several threads.
    """

    def __init__(self, path: Path, source: VLM | None) -> None:
        self._path = path
        self._source = source
        self._lock = Lock()
        self._labels: dict[_LabelsKey, LabelLogprobs] = {}
        self._texts: dict[_TextKey, Generation] = {}
        self._model = self._read() if path.exists() else None
        if source is None and self._model is None:
            raise InputError(f"{path} is not a recording: it is empty")
        if source is not None and self._model is None:
            self._model = source.name
            self._append(_Header(model=source.name))
        if source is not None and self._model != source.name:
            raise InputError(f"{path} holds answers of {self._model}, not of {source.name}: record into another file")

    @property
    def name(self) -> str:
        """The recorded model's name, marked as recorded."""
        return f"recorded:{self._model}"

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """Return what was recorded for each prompt and these labels, in this order; a reason where nothing was."""
        keys = [_LabelsKey(prompt_digest(prompt), tuple(labels)) for prompt in prompts]
        with self._lock:
            missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._labels}
            new: dict[_LabelsKey, LabelLogprobs] = {}
            if self._source is not None and missing:
                new = dict(zip(missing, self._source.label_logprobs(list(missing.values()), labels), strict=True))
                # A failure is not recorded: the model may answer another time.
                kept = {key: answer for key, answer in new.items() if answer.values is not None or answer.abstained}
                self._labels |= kept
                self._append(*(_LabelsLine(**key._asdict(), **answer._asdict()) for key, answer in kept.items()))
            known = new | self._labels
            return [known.get(key, LabelLogprobs(None, self._explain_missing(key.prompt))) for key in keys]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """Return what was recorded for each prompt and this length. Raises ModelError where nothing was."""
        keys = [_TextKey(prompt_digest(prompt), max_tokens) for prompt in prompts]
        with self._lock:
            missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._texts}
            if missing and self._source is None:
                raise ModelError(self._explain_missing(next(iter(missing)).prompt))
            if missing and self._source is not None:
                texts = self._source.generate(list(missing.values()), max_tokens=max_tokens)
                new = dict(zip(missing, texts, strict=True))
                self._texts |= new
                self._append(*(_GenerationLine(**key._asdict(), **text._asdict()) for key, text in new.items()))
            return [self._texts[key] for key in keys]

    def _explain_missing(self, prompt: str) -> str:
        return (
            f"{self._path.name} holds no answer to this prompt ({prompt[:12]}): text, frames, times, labels or length differ. "
            f"Record it with {_SETTING} = {self._path.name}=backend:model"
        )

    def _append(self, *lines: Record) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(line.model_dump_json() + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> str | None:
        """Read the answers; return the model's name, None for an empty file."""
        contents = read_resumable(self._path, _LINE)
        if self._source is not None:
            os.truncate(self._path, contents.size)  # removes a last line that was cut off
        for line in contents.lines:
            if isinstance(line, _LabelsLine):
                self._labels[_LabelsKey(line.prompt, line.labels)] = LabelLogprobs(line.values, line.reason, line.abstained)
            else:
                self._texts[_TextKey(line.prompt, line.max_tokens)] = Generation(line.text, line.tokens)
        return None if contents.header is None else _model_of(self._path, contents.header)


def _model_of(path: Path, header: Header) -> str:
    try:
        return _Header.model_validate(header).model
    except ValidationError as error:
        raise InputError(f"{path}, line 1 is not the header of a recording: {error.errors()[0]['msg']}") from error


def prompt_digest(prompt: Prompt) -> str:
    """Return a sha256 over everything that the model is shown: text, pixels, times, and their order."""
    digest = hashlib.sha256()

    def add(kind: str, content: Any) -> None:
        # With kind and length first, so that no two prompts give the same bytes.
        digest.update(f"{kind} {len(content)}\0".encode())
        digest.update(content)

    for part in (prompt.system, prompt.prefill, *prompt.user):
        if isinstance(part, Frames):
            add("shape", repr(part.pixels.shape).encode())
            add("pixels", part.pixels.tobytes())
            add("times", part.times.astype("<f8").tobytes())
        else:
            add("text", part.encode())
    return digest.hexdigest()
