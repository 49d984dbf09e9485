"""Evidence in a prompt: the token budget and frames."""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.llms import CustomLLM
from PIL import Image
from support.answering import FERRY, FixedLLM, answer_of, clip, hit, said
from support.world import World

from rankvideo_rag.answering.prompt_evidence import ESTIMATE, divide_budget, estimate_tokens, fit_frames, fit_text
from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames, MediaLimits, probe, read_frames
from rankvideo_rag.ranking.windows import Span
from rankvideo_rag.schema import FrameBudget
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


def count_words(text: str) -> int:
    return len(text.split())


@given(st.lists(st.integers(0, 200), max_size=8), st.integers(0, 400))
def test_a_budget_is_divided_fairly(needs: list[int], budget: int) -> None:
    shares = divide_budget(needs, budget)
    assert sum(shares) <= max(budget, 0)
    assert all(share <= need for share, need in zip(shares, needs, strict=True))
    if sum(needs) <= budget:
        assert shares == needs
    for (need, share), (other_need, other) in pairwise(sorted(zip(needs, shares, strict=True))):
        assert share <= other + 1 or need == other_need
    reduced = [share for share, need in zip(shares, needs, strict=True) if share < need]
    if reduced:
        assert max(shares) - min(reduced) <= 1  # no share exceeds one that was reduced


def test_text_within_the_budget_is_kept_whole() -> None:
    fitted = fit_text("when?", [FERRY], budget=1_000, count=count_words)
    assert (fitted.evidence, fitted.omitted) == ([FERRY], [])
    # A head of 4 words and 2 breaks; lines of 4, 5 and 2 words, each behind "said @ time:" and before a break.
    assert fitted.tokens == 4 + 2 + (3 + 4 + 1) + (3 + 5 + 1) + (3 + 2 + 1)


def test_a_long_clip_keeps_the_text_that_matches_the_question() -> None:
    lecture = clip(1, *(said(f"Sentence {i} is about nothing.", i, i + 1.0) for i in range(60)), end=90.0)
    asked = lecture._replace(spans=(*lecture.spans, said("The ferry leaves at nine.", 80.0, 82.0)))
    fitted = fit_text("When does the ferry leave?", [asked, FERRY._replace(number=2)], budget=90, count=count_words)
    first, second = fitted.evidence
    assert "The ferry leaves at nine." in [span.text for span in first.spans]
    assert list(first.spans) == sorted(first.spans, key=lambda span: span.start)
    assert second.spans == FERRY.spans  # a clip with little text keeps it all
    kept = sum(len(span.text.split()) for span in first.spans)
    (part,) = fitted.omitted
    assert (part.kind, part.count, part.total) == ("text", 60 * 5 + 5 - kept, 60 * 5 + 5)
    assert fitted.tokens <= 90


def test_text_in_the_scored_window_is_kept_first() -> None:
    spans = [said(f"Word number {i}", 10.0 * i, 10.0 * i + 5) for i in range(6)]
    seen = clip(1, *spans, end=60.0, margin=2.0)._replace(window=Span(30.0, 40.0))
    (kept,) = fit_text("zebra", [seen], budget=25, count=count_words).evidence
    assert "Word number 3" in [span.text for span in kept.spans]
    assert len(kept.spans) < 6


def test_a_long_text_is_truncated_after_a_whole_word() -> None:
    node = clip(1, said(" ".join(f"w{i}" for i in range(100)), 0.0, 30.0))
    fitted = fit_text("zebra", [node], budget=30, count=count_words)
    (span,) = fitted.evidence[0].spans
    assert span.text.split() == [f"w{i}" for i in range(len(span.text.split()))]
    assert (fitted.omitted[0].count, fitted.omitted[0].total) == (100 - len(span.text.split()), 100)
    assert 0 < fitted.tokens <= 30


def test_the_last_clips_are_omitted_if_their_headers_do_not_fit() -> None:
    clips = [clip(number) for number in range(1, 11)]
    fitted = fit_text("zebra", clips, budget=20, count=count_words)
    assert [piece.number for piece in fitted.evidence] == [1, 2, 3]  # 4 words and 2 breaks each
    assert [(part.kind, part.title) for part in fitted.omitted] == [("clip", f"Video {n}") for n in range(10, 3, -1)]


def test_the_answer_reports_the_budget_and_omitted_text() -> None:
    nodes = [hit("The ferry leaves at nine. " + "And so on. " * 3_000), hit("The bus leaves at ten.", "/videos/bus.mp4")]
    answer = answer_of(VideoAnswerSynthesizer(FixedLLM(reply="It leaves at nine [1].")).synthesize("When?", nodes))
    use = answer.prompt
    assert use is not None
    assert use.counted_by == ESTIMATE
    assert use.used <= use.budget < 3_900 - 256  # LlamaIndex's default window, less the answer and the instructions
    assert [(part.title, part.kind, part.total) for part in use.omitted] == [("ferry.mp4", "text", 5 + 3 * 3_000)]
    whole = answer_of(
        VideoAnswerSynthesizer(FixedLLM(reply="x [1]."), evidence_tokens=100_000).synthesize("When?", nodes)
    ).prompt
    assert whole is not None
    assert (whole.budget, whole.omitted) == (100_000, ())


def test_an_omitted_clip_cannot_be_cited() -> None:
    clips = [hit("The ferry leaves at nine.", f"/videos/{n}.mp4") for n in range(1, 6)]
    answer = answer_of(
        VideoAnswerSynthesizer(FixedLLM(reply="It leaves at nine [1]. It leaves at nine [5]."), evidence_tokens=45).synthesize(
            "When?", clips
        )
    )
    assert [removed.reason for removed in answer.removed_citations] == ["no clip 5 was shown"]


class LetterTokensLLM(FixedLLM):
    """An LLM with a tokenizer of its own: every letter is a token."""

    class Letters:
        def encode(self, text: str) -> list[str]:
            return list(text)

    _tokenizer: Letters = PrivateAttr(default_factory=Letters)


def test_tokens_are_counted_by_the_models_own_tokenizer_or_the_given_one() -> None:
    nodes = [hit("The ferry leaves at nine.")]
    own = answer_of(
        VideoAnswerSynthesizer(LetterTokensLLM(reply="At nine [1]."), evidence_tokens=500).synthesize("When?", nodes)
    ).prompt
    given_tokenizer = VideoAnswerSynthesizer(LetterTokensLLM(reply="At nine [1]."), evidence_tokens=500, tokenizer=str.split)
    theirs = answer_of(given_tokenizer.synthesize("When?", nodes)).prompt
    assert own is not None
    assert theirs is not None
    assert (own.counted_by, theirs.counted_by) == ("the LLM's tokenizer", "the given tokenizer")
    head, line = "[1] ferry.mp4, 00:00-00:09", "  said @ 00:00-00:09: The ferry leaves at nine."
    assert own.used == len(head) + 2 + len(line) + 1
    assert theirs.used == 3 + 2 + 8 + 1
    assert estimate_tokens("ferry") == 2


def test_a_budget_too_small_for_one_clip_is_an_error() -> None:
    with pytest.raises(InputError, match="give the LLM its true context_window"):
        VideoAnswerSynthesizer(FixedLLM(reply=""), evidence_tokens=3).synthesize("When?", [hit("The ferry leaves at nine.")])


class MultimodalLLM(CustomLLM):
    """A multimodal chat model that keeps its messages."""

    messages: list[list[ChatMessage]] = Field(default_factory=list)
    reply: str = "Something moves to the left [1]."

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="multimodal", is_chat_model=True, context_window=20_000)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self.messages.append(list(messages))
        return ChatResponse(message=ChatMessage(role="assistant", content=self.reply))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self.chat(messages)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError


@pytest.mark.parametrize("frames", [1, 3])
async def test_frames_come_from_the_scored_window(world: World, frames: int) -> None:
    path = str(world.videos / "clip-01.mp4")
    seconds = probe(path).duration
    node = hit(
        "(no text in this clip)",
        path,
        start=0.0,
        end=seconds,
        video_id="v",
        rerank_score=2.0,
        rerank_start=1.0,
        rerank_end=3.0,
    )
    llm = MultimodalLLM()
    synthesizer = VideoAnswerSynthesizer(llm, frames=frames)
    for response in (synthesizer.synthesize("What moves?", [node]), await synthesizer.asynthesize("What moves?", [node])):
        answer = answer_of(response)
        assert answer.text == "Something moves to the left (seen) [clip-01.mp4 @ 00:00]."
        assert answer.prompt is not None
        assert answer.prompt.frames == frames
        assert answer.prompt.used > frames * 100  # a frame of 131,072 pixels is about 175 tokens
    (message,) = llm.messages[0]
    text, *blocks = message.blocks
    assert "[1] clip-01.mp4" in text.text  # type: ignore[union-attr]
    captions = [block.text for block in blocks[::2]]  # type: ignore[union-attr]
    times = [caption.removeprefix("[1] seen @ ").removesuffix(":") for caption in captions]
    assert len(times) == frames
    assert all("00:01" <= time <= "00:03" for time in times)
    assert times == sorted(times)
    for block in blocks[1::2]:
        picture = np.asarray(Image.open(io.BytesIO(block.resolve_image().read())))  # type: ignore[union-attr]
        assert picture.shape[2] == 3
        assert picture.size == pytest.approx(131_072 * 3, rel=0.15)


def test_frames_are_read_within_the_limits_of_the_settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[MediaLimits] = []

    def read(*arguments: Any, limits: MediaLimits, **options: Any) -> Frames:
        used.append(limits)
        return read_frames(*arguments, limits=limits, **options)

    monkeypatch.setattr("rankvideo_rag.answering.prompt_evidence.read_frames", read)
    with VideoArchive.open(world.archive, media_seconds=77.0, media_bytes=1 << 31) as archive:
        node = hit("-", str(world.videos / "clip-01.mp4"), end=4.0)
        archive.as_synthesizer(MultimodalLLM(), frames=1).synthesize("What moves?", [node])
        assert used == [MediaLimits.from_settings(archive.settings)]
    assert used[0].seconds == 77.0


def test_the_frames_are_those_of_their_times(world: World) -> None:
    path = str(world.videos / "clip-01.mp4")
    seen = clip(1, end=4.0, margin=2.0)._replace(path=path, window=Span(1.0, 3.0))
    pictures = fit_frames([seen], frames=2, budget=10_000).frames
    every = read_frames(path, 0.0, 4.0, budget=FrameBudget(fps=8.0, max_frames=64))
    for picture in pictures:
        assert 1.0 <= picture.time < 3.0
        nearest = int(np.argmin(np.abs(every.times - picture.time)))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture.png))), every.pixels[nearest])


def test_omitted_and_unreadable_frames_are_reported(world: World, tmp_path: Path) -> None:
    real = clip(1, end=4.0)._replace(path=str(world.videos / "clip-01.mp4"))
    lost = clip(2, end=4.0)._replace(path=str(tmp_path / "gone.mp4"))
    unknown = clip(3, start=0.0, end=0.0)
    fitted = fit_frames([real, lost, unknown], frames=4, budget=400)
    assert len(fitted.frames) == 2
    assert [(part.title, part.kind, part.count, part.total) for part in fitted.omitted] == [
        ("Video 1", "frames", 2, 4),
        ("Video 2", "frames", 4, 4),
        ("Video 3", "frames", 4, 4),
    ]
    assert fitted.omitted[0].reason == "the prompt's token budget"
    assert "gone.mp4" in fitted.omitted[1].reason
    assert fitted.omitted[2].reason == "no_length: the length of the clip is unknown"


def test_frames_need_a_chat_model() -> None:
    with pytest.raises(InputError, match="fixed is no chat model"):
        VideoAnswerSynthesizer(FixedLLM(reply=""), frames=2)
    with pytest.raises(InputError, match="no llm"):
        VideoAnswerSynthesizer(frames=2)
