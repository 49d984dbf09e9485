"""The records that every room speaks: frozen, validated, JSON-able, free of any framework.

Times are seconds as floats from the video's beginning; spans are half open, [start, end).
What could not be measured is None beside a reason, never 0.0 and never nan.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Channel = Literal["visual", "speech", "on_screen", "description"]
"""A way by which a question can find a clip: one vector space, or one kind of words."""

TextChannel = Literal["speech", "on_screen", "description"]
Outcome = Literal["ok", "partial", "skipped", "failed"]


class Record(BaseModel):
    """A frozen value. Unknown fields, nan and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


VideoReader = Literal["pyav", "decord"]


class FrameBudget(Record):
    """How many frames of a clip are read, and how many pixels each may have.

    The defaults are those of RankVideo's published inference script (arXiv 2602.02444, code `inference.py`):
    2 frames a second, at most 32, each resized to about 131,072 pixels with sides that are multiples of 32.
    """

    fps: float = Field(2.0, gt=0)
    max_frames: int = Field(32, ge=1)
    min_frames: int = Field(4, ge=1)
    min_pixels: int = Field(128 * 32 * 32, ge=1)
    max_pixels: int = Field(128 * 32 * 32, ge=1)
    multiple: int = Field(32, ge=1)  # sides of a frame are multiples of this many pixels


class Probe(Record):
    """What a file's header and packet index say, before a frame is decoded."""

    duration: float = Field(ge=0)  # seconds, of the longest used stream
    width: int | None = None  # pixels, after rotation; None for audio only
    height: int | None = None
    frame_rate: float | None = None  # average frames a second; None where the container does not know
    video_codec: str | None = None
    audio_codec: str | None = None
    subtitle_streams: int = 0
    title: str | None = None  # from the container's metadata: untrusted text
    coverage: float = Field(1.0, ge=0, le=1)  # share of the declared duration for which there are packets
    unused: tuple[str, ...] = ()  # streams left aside, in words: "video stream 1: 320x180 h264"
    warnings: tuple[str, ...] = ()  # "trailing_data: …": what is good to know of a file that can be read


class Video(Record):
    """One video of an archive. Its identity is its content: two paths with the same bytes are one video."""

    video_id: str  # the first 32 hex digits of the file's sha256
    path: str
    title: str
    probe: Probe


class Clip(Record):
    """A span of one video: the unit that is embedded, retrieved, ranked and cited."""

    clip_id: str  # uuid5 of video, start and end
    video_id: str
    start: float = Field(ge=0)
    end: float = Field(gt=0)


class TimedWord(NamedTuple):
    """One word of a span, and when it is heard, in seconds from the video's beginning."""

    text: str
    start: float
    end: float


class TextSpan(Record):
    """Words with the time at which they are heard, shown or true."""

    channel: TextChannel
    text: str
    start: float = Field(ge=0)
    end: float = Field(ge=0)
    source: str  # "subtitles", "whisper", "rapidocr"
    confidence: float | None = Field(None, ge=0, le=1)
    language: str | None = None  # as a recogniser heard it, or as a subtitle file's name says: "en", "pt-br"
    words: tuple[TimedWord, ...] = ()  # where they are timed one by one: they stand in `text` in this order

    def time_range(self, first: int, last: int) -> tuple[float, float]:
        """The seconds in which the characters [first, last) of the text are heard; those of the span where words have none.

        >>> span = TextSpan(channel="speech", text="At nine.", start=0, end=2, source="whisper",
        ...     words=[("At", 0.1, 0.4), ("nine.", 0.9, 1.5)])
        >>> span.time_range(3, 7)
        (0.9, 1.5)
        """
        times, place = [], 0
        for word in self.words:
            at = self.text.find(word.text, place)
            if at >= 0:
                place = at + len(word.text)
                times += [word] if at < last and place > first else []
        return (times[0].start, times[-1].end) if times else (self.start, self.end)


class Hit(Record):
    """One line of a search result."""

    rank: int = Field(ge=1)
    video_id: str
    path: str
    title: str
    start: float | None  # None: the whole file
    end: float | None
    score: float | None  # fused score, or RankVideo's margin after reranking; None where it could not be judged
    channels: dict[str, int]  # channel -> rank there
    text: str
    duplicate_of: int | None = None  # rank of a better hit that shows the same


class Score(Record):
    """RankVideo's verdict on one pair of question and clip.

    `margin` = logp(yes) - logp(no), in nats: the score to rank by, relevant above 0. `p_yes` = sigmoid(margin) saturates.
    Without a margin, `status` tells whether the judge had nothing to say (abstained: no picture, a question outside what
    it knows) or broke (failed), and `reason` says why; beside a margin, `reason` tells what was left out of it.
    """

    margin: float | None = None
    p_yes: float | None = Field(None, ge=0, le=1)
    logprob_yes: float | None = None  # natural log, over all tokens that read as the label
    logprob_no: float | None = None
    status: Literal["ok", "abstained", "failed"] = "ok"
    reason: str | None = None
    start: float | None = Field(None, ge=0)  # seconds: the window that carried the score; None where the clip was not divided
    end: float | None = Field(None, ge=0)
    rationale: str | None = None  # what the model wrote before its verdict was read; None where it was not asked to
    tokens: int = Field(0, ge=0)  # written for it


class Citation(Record):
    """A place in a video that bears out a sentence of an answer. The quote, if any, stands in the archive's words."""

    video_id: str
    path: str
    title: str
    start: float
    end: float
    quote: str | None = None
    channel: Channel | None = None  # what bears it out: words of that kind, or the picture; None for the clip as a whole


class RemovedCitation(Record):
    """A citation that the generator wrote and that did not hold."""

    marker: str  # as written: "[7]", "[1 @ 03:00-03:05]"
    reason: str


class Claim(Record):
    """One statement of an answer and what bears it out, as far as code can tell.

    quoted: it has words of a cited clip, verbatim. cited: words of the cited clips hold what it says. seen: the picture of a
    cited clip bears it out, which no words can check. unsupported: none of these, and `reason` says why.
    """

    text: str
    status: Literal["quoted", "cited", "seen", "unsupported"]
    citations: tuple[Citation, ...] = ()
    support: float | None = Field(None, ge=0, le=1)  # share of its terms that the cited words hold; None where only seen
    reason: str | None = None


class OmittedEvidence(Record):
    """Evidence that was left out of a prompt, and why."""

    title: str
    start: float  # seconds, of the clip
    end: float
    kind: Literal["clip", "text", "frames"]
    count: int = Field(ge=1)  # clips, words or frames left out
    total: int = Field(ge=1)
    reason: str


class PromptUsage(Record):
    """What the evidence in a prompt cost, of how much, and everything that was left out of it."""

    budget: int  # tokens that evidence may have, frames included
    used: int
    counted_by: str
    frames: int = 0
    omitted: tuple[OmittedEvidence, ...] = ()


class Answer(Record):
    """An answer with what bears it out. No citation left means: the archive does not answer this."""

    question: str
    text: str
    answered: bool
    citations: tuple[Citation, ...] = ()
    removed_citations: tuple[RemovedCitation, ...] = ()
    claims: tuple[Claim, ...] = ()  # what the text is made of
    removed_claims: tuple[Claim, ...] = ()  # what the generator wrote and the text does not show
    reason: str | None = None  # why the archive does not answer, or why words are quoted where a model was to write
    support: float | None = Field(None, ge=0, le=1)  # mean over claims, removed ones counted as 0; None where only seen
    prompt: PromptUsage | None = None  # None where no language model was asked


class FileOutcome(Record):
    """What became of one path given to the indexer: exactly one of these for each."""

    path: str
    outcome: Outcome
    reason: str | None = None  # "not_media: …": a code, a colon, words with a remedy
    clips: int = 0
    video_id: str | None = None


def to_json(answer: Answer, hits: Sequence[Hit]) -> dict[str, Any]:
    """An answer and the clips behind it, as programs get them from the command line and over HTTP.

    The citations of a claim are given by their place in `citations`, from 0. What was removed is told by its reason, not shown.
    """
    place = {citation: number for number, citation in enumerate(answer.citations)}
    said = {"text", "status", "support", "reason"}
    return {
        "question": answer.question,
        "answer": answer.text,
        "answered": answer.answered,
        "reason": answer.reason,
        "citations": [c.model_dump(include={"video_id", "path", "start", "end", "quote"}) for c in answer.citations],
        "removed_citations": [removed.model_dump() for removed in answer.removed_citations],
        "claims": [
            claim.model_dump(include=said) | {"citations": [place[citation] for citation in claim.citations]}
            for claim in answer.claims
        ],
        "removed_claims": [{"reason": claim.reason} for claim in answer.removed_claims],
        "prompt": answer.prompt and answer.prompt.model_dump(),
        "clips": [hit.model_dump() for hit in hits],
    }
