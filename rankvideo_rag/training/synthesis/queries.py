"""Step two: a language model writes questions from five views of a video: what is seen, said, written, told of it, and all.

Beside the lines stand the same questions in the published formats: a TSV of texts, and qrels in which each is answered by the
video that it was written from.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from pydantic import Field

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.files import replace_file
from rankvideo_rag.formats.resumable_jsonl import fingerprint
from rankvideo_rag.formats.strict import read_records
from rankvideo_rag.models.vlm import VLM, Generation, Prompt
from rankvideo_rag.models.vlm.batch_generation import generate_each
from rankvideo_rag.schema import Record
from rankvideo_rag.text import clean
from rankvideo_rag.training.synthesis.parsing import Unreadable, questions
from rankvideo_rag.training.synthesis.prompts import QUESTIONS, sections
from rankvideo_rag.training.synthesis.step_output import Result, StepOutput, SynthesisReport, failed, process
from rankvideo_rag.training.synthesis.video_texts import VideoText

View = Literal["caption", "speech", "on_screen", "metadata", "all"]

_HEADINGS: Mapping[View, str] = {
    "caption": "What is seen",
    "speech": "What is said",
    "on_screen": "What is written on the screen",
    "metadata": "What its publisher says of it",
}
_MOST_LETTERS = 6_000  # of one view that a model is shown


class SyntheticQuery(Record):
    """A question with the video that it was written from, and what of it the writer saw."""

    query_id: str = Field(min_length=1)
    query: str = Field(min_length=1)
    video_id: str = Field(min_length=1)
    view: View


def synthesize_queries(
    vlm: VLM,
    videos: Mapping[str, VideoText],
    *,
    output: str | Path,
    per_view: int = 1,
    max_tokens: int = 1024,
    batch_size: int = 4,
    progress: Callable[[int], None] = lambda done: None,
) -> SynthesisReport:
    """Have questions written about the videos, to a .jsonl file of SyntheticQuery lines, with a .tsv and a .qrels beside it.

    Counted are questions (`ok`, `duplicate`: asked from an earlier view of the same video) and views that gave none: nothing
    is there to read, or, for `all`, nothing more than one view has.
    """
    if Path(output).suffix != ".jsonl":
        raise InputError(f"{output}: a name that ends in .jsonl is needed, as a .tsv and a .qrels of that name are written too")
    options = {"model": vlm.name, "prompt": QUESTIONS.fingerprint, "per_view": per_view, "max_tokens": max_tokens}
    writer = _Writer(vlm, per_view, max_tokens)
    with StepOutput(output, step="queries", options=options) as step:
        waiting = step.pending(map(_Asked, videos.values()))
        process(step, waiting, writer.ask, batch_size=batch_size, progress=progress)
        _publish(Path(output))
        return step.report()


class _Asked(NamedTuple):
    video: VideoText

    @property
    def key(self) -> tuple[str, ...]:
        return (self.video.video_id,)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.video.model_dump(exclude={"path"}))


class _Writer(NamedTuple):
    """What is the same for all videos of a run."""

    vlm: VLM
    per_view: int
    max_tokens: int

    def ask(self, batch: Sequence[_Asked]) -> list[Result]:
        """All views of these videos at once."""
        prompts = [(one.video.video_id, view, prompt) for one in batch for view, prompt in self._prompts(one.video).items()]
        written = generate_each(self.vlm, [prompt for _, _, prompt in prompts], max_tokens=self.max_tokens)
        replies: dict[str, dict[View, Generation | ModelError]] = {one.video.video_id: {} for one in batch}
        for (video, view, _), reply in zip(prompts, written, strict=True):
            replies[video][view] = reply
        return [self._result(one.video.video_id, replies[one.video.video_id]) for one in batch]

    def _prompts(self, video: VideoText) -> dict[View, Prompt]:
        count = str(self.per_view)
        return {view: QUESTIONS.prompt(material=material, count=count) for view, material in materials(video).items()}

    def _result(self, video: str, replies: Mapping[View, Generation | ModelError]) -> Result:
        written = {view: reply for view, reply in replies.items() if not isinstance(reply, ModelError)}
        if len(written) < len(replies):
            return failed(f"model: {next(reply for reply in replies.values() if isinstance(reply, ModelError))}", retry=True)
        lines: dict[str, SyntheticQuery] = {}  # by what it reads as
        counts = Counter(nothing_to_read=len(get_args(View)) - len(replies))
        reasons: list[str] = []
        for view, reply in written.items():
            read = questions(reply, most=self.per_view, max_tokens=self.max_tokens)
            if isinstance(read, Unreadable):
                counts[read.reason.partition(":")[0]] += 1
                reasons.append(f"{read.reason} ({view})")
                continue
            for number, text in enumerate(read, start=1):
                query = SyntheticQuery(query_id=f"{video}-{view}-{number}", query=text, video_id=video, view=view)
                counts["duplicate" if text.casefold() in lines else "ok"] += 1
                lines.setdefault(text.casefold(), query)
        return Result(tuple(lines.values()), counts, tuple(reasons))


def materials(video: VideoText) -> dict[View, str]:
    """What the writer reads for each view that has words; for `all` only where more than one has."""
    views: tuple[tuple[View, str | None], ...] = (
        ("caption", video.caption),
        ("speech", video.asr),
        ("on_screen", video.ocr),
        ("metadata", video.metadata),
    )
    known = {view: clean(text, max_length=_MOST_LETTERS) for view, text in views if text and clean(text)}
    found: dict[View, str] = {view: sections([(_HEADINGS[view], words)]) for view, words in known.items()}
    if len(known) > 1:
        found["all"] = sections([(_HEADINGS[view], words) for view, words in known.items()])
    return found


def _publish(path: Path) -> None:
    """The same questions as a TSV and as qrels."""
    written = list(read_records(path, SyntheticQuery, what="synthetic query"))
    texts = "".join(f"{query.query_id}\t{query.query}\n" for query in written)
    qrels = "".join(f"{query.query_id} 0 {query.video_id} 1\n" for query in written)
    replace_file(path.with_suffix(".tsv"), texts.encode())
    replace_file(path.with_suffix(".qrels"), qrels.encode())
