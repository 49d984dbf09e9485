"""The records that all packages share: frozen, validated, JSON-serialisable, independent of any framework.

Times are seconds as floats from the video's beginning; spans are half open, [start, end).
A value that could not be measured is None with a reason, never 0.0 and never NaN.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Channel = Literal["visual", "speech", "on_screen", "description"]
"""What a question is compared with: frames by vector, or one kind of text."""

TextChannel = Literal["speech", "on_screen", "description"]

SearchChannel = Literal[
    "visual", "speech", "on_screen", "description", "speech_meaning", "on_screen_meaning", "description_meaning"
]
"""How clips are found: by their pictures, and each kind of text by its terms and by its meaning."""

Modality = Literal["picture", "text"]
"""What a reranker scores of a clip."""

Outcome = Literal["ok", "partial", "skipped", "failed"]


class Record(BaseModel):
    """A frozen record. Unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


VideoReader = Literal["pyav", "decord"]


class FrameBudget(Record):
    """How many frames of a clip are read, and how many pixels each has.

    The defaults are those of RankVideo's published inference script (arXiv 2602.02444, `inference.py`):
    2 frames a second, at most 32, each resized to about 131,072 pixels with sides that are multiples of 32.
    """

    fps: float = Field(2.0, gt=0)
    max_frames: int = Field(32, ge=1)
    min_frames: int = Field(4, ge=1)
    min_pixels: int = Field(128 * 32 * 32, ge=1)
    max_pixels: int = Field(128 * 32 * 32, ge=1)
    multiple: int = Field(32, ge=1)  # sides of a frame are multiples of this many pixels


class Probe(Record):
    """Facts about a file from its header and packet index, without decoding a frame."""

    duration: float = Field(ge=0)  # seconds, of the longest used stream
    width: int | None = None  # pixels, after rotation; None for audio only
    height: int | None = None
    frame_rate: float | None = None  # average frames per second; None if the container does not say
    video_codec: str | None = None
    audio_codec: str | None = None
    subtitle_streams: int = 0
    title: str | None = None  # from the container's metadata: untrusted text
    coverage: float = Field(1.0, ge=0, le=1)  # share of the declared duration that has packets
    unused: tuple[str, ...] = ()  # descriptions of unused streams: "video stream 1: 320x180 h264"
    warnings: tuple[str, ...] = ()  # "trailing_data: ...": problems that do not prevent reading


class Video(Record):
    """A video of an archive, identified by its content: two paths with the same bytes are one video."""

    video_id: str  # the first 32 hex digits of the file's sha256
    path: str
    title: str
    probe: Probe


class Clip(Record):
    """A span of a video: the unit that is embedded, retrieved, ranked and cited."""

    clip_id: str  # uuid5 of video, start and end
    video_id: str
    start: float = Field(ge=0)
    end: float = Field(gt=0)


class TimedWord(NamedTuple):
    """A word with the time at which it is spoken."""

    text: str
    start: float
    end: float


class TextSpan(Record):
    """Text with the time at which it is spoken, shown or true."""

    channel: TextChannel
    text: str
    start: float = Field(ge=0)
    end: float = Field(ge=0)
    source: str  # "subtitles", "whisper", "rapidocr"
    confidence: float | None = Field(None, ge=0, le=1)
    language: str | None = None  # recognised, or from a subtitle file's name: "en", "pt-br"
    words: tuple[TimedWord, ...] = ()  # timed words in the order of `text`, if there are any

    def time_range(self, first: int, last: int) -> tuple[float, float]:
        """Return when the characters [first, last) of the text are spoken; the whole span if its words have no times.

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
    """A search result."""

    rank: int = Field(ge=1)
    video_id: str
    path: str
    title: str
    start: float | None  # None: the whole file
    end: float | None
    score: float | None  # what the list is ordered by; None if the clip could not be scored
    channels: dict[str, int]  # channel -> rank there
    scores: dict[str, float] = {}  # channel -> normalised score there, from 0 to 1
    text: str
    duplicate_of: int | None = None  # rank of a better hit that this one is a near-duplicate of
    evidence: dict[Modality, float | None] = {}  # after reranking: the picture's margin in nats, the text's probability
    unscored: dict[Modality, str] = {}  # why a modality has no score


class Score(Record):
    """RankVideo's score of a question and a clip.

    `margin` = logp(yes) - logp(no), in nats: the score to rank by, relevant above 0. `p_yes` = sigmoid(margin) saturates.
    Without a margin, `status` is "abstained" (no frames, or a question outside the model's domain) or "failed", and `reason`
    says why. With a margin, `reason` says what it leaves out.
    """

    margin: float | None = None
    p_yes: float | None = Field(None, ge=0, le=1)
    logprob_yes: float | None = None  # natural logarithm, over all tokens that spell the label
    logprob_no: float | None = None
    status: Literal["ok", "abstained", "failed"] = "ok"
    reason: str | None = None
    start: float | None = Field(None, ge=0)  # the best window; None if the clip was scored whole
    end: float | None = Field(None, ge=0)
    rationale: str | None = None  # reasoning written before the label; None without reasoning
    tokens: int = Field(0, ge=0)  # generated for the rationale


class Citation(Record):
    """A span of a video that supports a claim. A quote is verbatim from the archive."""

    video_id: str
    path: str
    title: str
    start: float
    end: float
    quote: str | None = None
    channel: Channel | None = None  # what supports the claim; None for the clip as a whole


class RemovedCitation(Record):
    """A citation that the generator wrote and that failed verification."""

    marker: str  # as written: "[7]", "[1 @ 03:00-03:05]"
    reason: str


ClaimStatus = Literal["quoted", "cited", "seen", "unchecked", "contradicted", "unsupported"]
"""What the cited clips say of a claim.

- quoted: the claim quotes them verbatim.
- cited: their text supports it.
- seen: it is not in their text, and the language model was given their frames.
- unchecked: neither their text nor its absence decides, as with a free paraphrase or a translation: it is shown with a note.
- contradicted: their text says otherwise.
- unsupported: it has no valid citation, a quote that is not there, or nothing to do with their text.
"""


class Claim(Record):
    """A statement of an answer, with its citations."""

    text: str
    status: ClaimStatus
    citations: tuple[Citation, ...] = ()
    support: float | None = Field(None, ge=0, le=1)  # share of its words and quantities in the cited text; None if seen
    reason: str | None = None  # why it is unchecked, contradicted or unsupported

    @property
    def is_rejected(self) -> bool:
        """Whether the claim does not hold: no answer consists of such claims alone."""
        return self.status in ("contradicted", "unsupported")


class OmittedEvidence(Record):
    """Evidence that did not fit into a prompt."""

    title: str
    start: float  # seconds, of the clip
    end: float
    kind: Literal["clip", "text", "frames"]
    count: int = Field(ge=1)  # clips, words or frames left out
    total: int = Field(ge=1)
    reason: str


class PromptUsage(Record):
    """The tokens that evidence takes in a prompt, and what was omitted."""

    budget: int  # tokens for evidence, frames included
    used: int
    counted_by: str  # the tokenizer, or an estimate
    frames: int = 0
    omitted: tuple[OmittedEvidence, ...] = ()


LLMStatus = Literal["unused", "answered", "declined", "rejected", "failed"]
"""What became of a language model's answer.

- unused: there is no LLM, or it was not called.
- answered: those of its claims that are supported are shown.
- declined: it says that the evidence does not answer the question; so the archive does not answer.
- rejected: none of its claims is supported; text is quoted instead.
- failed: there was an error; text is quoted instead, or, where a stream broke off, the claims until then are shown.
"""


class Answer(Record):
    """An answer with its citations. Without a citation the archive does not answer the question."""

    question: str
    text: str
    answered: bool
    citations: tuple[Citation, ...] = ()
    removed_citations: tuple[RemovedCitation, ...] = ()
    claims: tuple[Claim, ...] = ()  # the statements of `text`
    removed_claims: tuple[Claim, ...] = ()  # generated, and left out of `text`
    reason: str | None = None  # why there is no answer, or why text is quoted instead of generated
    llm_status: LLMStatus = "unused"
    support: float | None = Field(None, ge=0, le=1)  # mean over claims, 0 for removed ones; None if all are seen
    prompt: PromptUsage | None = None  # None without a language model


class FileOutcome(Record):
    """The outcome of indexing a path. Every path gets exactly one."""

    path: str
    outcome: Outcome
    reason: str | None = None  # "not_media: ...": a code, a colon, an explanation
    clips: int = 0
    video_id: str | None = None


def to_json(answer: Answer, hits: Sequence[Hit]) -> dict[str, Any]:
    """Return an answer and its clips as the command line (--json) and the HTTP API give them.

    Claims name their citations by index in `citations`. Of removed claims only the reason is given.
    """
    index = {citation: number for number, citation in enumerate(answer.citations)}
    fields = {"text", "status", "support", "reason"}
    return {
        "question": answer.question,
        "answer": answer.text,
        "answered": answer.answered,
        "reason": answer.reason,
        "llm_status": answer.llm_status,
        "citations": [c.model_dump(include={"video_id", "path", "start", "end", "quote"}) for c in answer.citations],
        "removed_citations": [removed.model_dump() for removed in answer.removed_citations],
        "claims": [
            claim.model_dump(include=fields) | {"citations": [index[citation] for citation in claim.citations]}
            for claim in answer.claims
        ],
        "removed_claims": [{"reason": claim.reason} for claim in answer.removed_claims],
        "prompt": answer.prompt and answer.prompt.model_dump(),
        "clips": [hit.model_dump() for hit in hits],
    }
