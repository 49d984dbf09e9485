"""Step two: write questions about videos with a language model, from their caption, speech, on-screen text, metadata, and all.

Beside the lines, the questions are written in the published formats: a TSV of texts, and qrels in which each is answered by the
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
from rankvideo_rag.training.synthesis.parsing import Unreadable, parse_questions
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
_MAX_VIEW_LENGTH = 6_000  # characters of one view in a prompt


class QueryOptions(Record):
    """How questions are written."""

    per_view: int = Field(1, ge=1)
    max_tokens: int = Field(1024, ge=1)
    batch_size: int = Field(4, ge=1)


DEFAULTS = QueryOptions()


class SyntheticQuery(Record):
    """A question with the video, and the view of it, that it was written from."""

    query_id: str = Field(min_length=1)
    query: str = Field(min_length=1)
    video_id: str = Field(min_length=1)
    view: View


def synthesize_queries(
    vlm: VLM,
    videos: Mapping[str, VideoText],
    *,
    output: str | Path,
    options: QueryOptions = DEFAULTS,
    progress: Callable[[int], None] = lambda done: None,
) -> SynthesisReport:
    """Write questions about the videos to a .jsonl file of SyntheticQuery lines, with a .tsv and a .qrels beside it.

    Questions are counted as `ok` or `duplicate` (asked from an earlier view of the same video), views without any as
    `nothing_to_read` (no text; for `all`, no more than one other view has) or with their reason.
    """
    if Path(output).suffix != ".jsonl":
        raise InputError(f"{output}: a name that ends in .jsonl is needed, as a .tsv and a .qrels of that name are written too")
    header = {"model": vlm.name, "prompt": QUESTIONS.fingerprint, **options.model_dump(exclude={"batch_size"})}
    writer = _QueryWriter(vlm, options)
    with StepOutput(output, step="queries", options=header) as step:
        pending = step.pending(map(_VideoItem, videos.values()))
        process(step, pending, writer.write, batch_size=options.batch_size, progress=progress)
        _export(Path(output))
        return step.report()


class _VideoItem(NamedTuple):
    video: VideoText

    @property
    def key(self) -> tuple[str, ...]:
        return (self.video.video_id,)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.video.model_dump(exclude={"path"}))


class _QueryWriter(NamedTuple):
    """What is the same for all videos of a run."""

    vlm: VLM
    options: QueryOptions

    def write(self, batch: Sequence[_VideoItem]) -> list[Result]:
        """Generate questions from all views of these videos at once."""
        prompts = {(one.video.video_id, view): prompt for one in batch for view, prompt in self._prompts(one.video).items()}
        generations = dict(
            zip(prompts, generate_each(self.vlm, list(prompts.values()), max_tokens=self.options.max_tokens), strict=True)
        )
        return [
            self._parse(one.key[0], {view: text for (video, view), text in generations.items() if video == one.key[0]})
            for one in batch
        ]

    def _prompts(self, video: VideoText) -> dict[View, Prompt]:
        count = str(self.options.per_view)
        return {view: QUESTIONS.prompt(material=text, count=count) for view, text in view_texts(video).items()}

    def _parse(self, video: str, generations: Mapping[View, Generation | ModelError]) -> Result:
        lines: dict[str, SyntheticQuery] = {}  # by lower-case text
        counts = Counter(nothing_to_read=len(get_args(View)) - len(generations))
        reasons: list[str] = []
        for view, generation in generations.items():
            if isinstance(generation, ModelError):
                return failed(f"model: {generation}", retry=True)
            parsed = parse_questions(generation, limit=self.options.per_view, max_tokens=self.options.max_tokens)
            if isinstance(parsed, Unreadable):
                counts[parsed.reason.partition(":")[0]] += 1
                reasons.append(f"{parsed.reason} ({view})")
                continue
            for number, text in enumerate(parsed, start=1):
                query = SyntheticQuery(query_id=f"{video}-{view}-{number}", query=text, video_id=video, view=view)
                counts["duplicate" if text.casefold() in lines else "ok"] += 1
                lines.setdefault(text.casefold(), query)
        return Result(tuple(lines.values()), counts, tuple(reasons))


def view_texts(video: VideoText) -> dict[View, str]:
    """Return what the model reads for each view that has text; `all` only where more than one has."""
    views: tuple[tuple[View, str | None], ...] = (
        ("caption", video.caption),
        ("speech", video.asr),
        ("on_screen", video.ocr),
        ("metadata", video.metadata),
    )
    known = {view: clean(text, max_length=_MAX_VIEW_LENGTH) for view, text in views if text and clean(text)}
    found: dict[View, str] = {view: sections([(_HEADINGS[view], text)]) for view, text in known.items()}
    if len(known) > 1:
        found["all"] = sections([(_HEADINGS[view], text) for view, text in known.items()])
    return found


def _export(path: Path) -> None:
    """Write the questions as a TSV and as qrels."""
    queries = list(read_records(path, SyntheticQuery, what="synthetic query"))
    texts = "".join(f"{query.query_id}\t{query.query}\n" for query in queries)
    qrels = "".join(f"{query.query_id} 0 {query.video_id} 1\n" for query in queries)
    replace_file(path.with_suffix(".tsv"), texts.encode())
    replace_file(path.with_suffix(".qrels"), qrels.encode())
