"""What an answer may rest on: the clips shown to the generator, numbered from 1, with their words in time."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from rankvideo_rag.ranking.windows import Span
from rankvideo_rag.schema import Citation, TextSpan, WordChannel
from rankvideo_rag.text import clean, timestamp

_SENTENCE_END = re.compile(r"(?<=[.!?。！？؟])\s+")
_KINDS = {"speech": "said", "on_screen": "written", "description": "described"}


class Evidence(NamedTuple):
    """One numbered clip."""

    number: int  # from 1
    video_id: str
    path: str
    title: str
    start: float  # seconds
    end: float
    spans: tuple[TextSpan, ...]  # the words that touch the clip, in order of channel and time
    margin: float | None = None  # RankVideo's score, if it watched this clip
    seen: Span | None = None  # the window that carried this score, if it watched the clip in windows

    def cite_what_is_seen(self) -> Citation:
        """A citation of the picture: of the window in which RankVideo saw it, else of the whole clip."""
        return self.cite(*self.seen) if self.seen else self.cite()

    def cite(self, start: float | None = None, end: float | None = None, quote: str | None = None) -> Citation:
        """A citation of this clip, or of a part of it."""
        return Citation(
            video_id=self.video_id,
            path=self.path,
            title=self.title,
            start=round(self.start if start is None else start, 3),
            end=round(self.end if end is None else end, 3),
            quote=quote,
        )

    def block(self) -> str:
        """The evidence as a language model reads it. All words are untrusted: cleaned, and marked by what they are."""
        head = f"[{self.number}] {clean(self.title)}, {timestamp(self.start)}-{timestamp(self.end)}"
        lines = [f"  {_KINDS[s.channel]} @ {timestamp(s.start)}-{timestamp(s.end)}: {clean(s.text)}" for s in self.spans]
        if self.seen and self.margin is not None and self.margin > 0:
            lines.append(f"  seen to be relevant @ {timestamp(self.seen.start)}-{timestamp(self.seen.end)}")
        return "\n".join([head, *(lines or ["  (no words)"])])


class Sentence(NamedTuple):
    """A sentence of the evidence, put together again where subtitles had cut it."""

    text: str
    start: float
    end: float
    channel: WordChannel
    evidence: Evidence


def sentences(evidence: Evidence) -> list[Sentence]:
    """The sentences of a clip. Spoken words run on from span to span; each text on screen stands for itself."""
    return [
        Sentence(" ".join(span.text for span in group), group[0].start, group[-1].end, channel, evidence)
        for (channel, _), spans in groupby(evidence.spans, key=lambda span: (span.channel, span.source))
        for group in (_until_sentence_end(spans) if channel == "speech" else ([span] for span in spans))
    ]


def _until_sentence_end(spans: Iterable[TextSpan]) -> Iterable[list[TextSpan]]:
    group: list[TextSpan] = []
    for span in spans:
        # A span that holds the end of one sentence and the beginning of the next is cut where the sentence ends, its time
        # shared out by length.
        for piece in _pieces(span):
            group.append(piece)
            if piece.text[-1:] in ".!?。！？؟":
                yield group
                group = []
    if group:
        yield group


def _pieces(span: TextSpan) -> Sequence[TextSpan]:
    texts = [text for text in _SENTENCE_END.split(span.text) if text]
    if len(texts) < 2:
        return [span]
    total = sum(len(text) for text in texts)
    pieces, start = [], span.start
    for text in texts:
        end = start + (span.end - span.start) * len(text) / total
        pieces.append(span.model_copy(update={"text": text, "start": round(start, 3), "end": round(end, 3)}))
        start = end
    return pieces
