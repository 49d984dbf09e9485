"""Scoring pairs: each clip is decoded once, failures stay with their pair; windows, reasoning, the cache.

The models here tell clips apart by their brightness, so that a score of the wrong pair is a wrong number.
"""

import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import ModelError
from rankvideo_rag.media import Frames, MediaLimits, count_decoder_calls, read_frames
from rankvideo_rag.media.encode import write_video
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO
from rankvideo_rag.ranking import pointwise
from rankvideo_rag.ranking.cache import ScoreCache
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.reasoning import MarginBand, Reasoning, reasoned_share
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.ranking.windows import Windowing
from rankvideo_rag.schema import FrameBudget
from rankvideo_rag.synthetic.render import render_frames
from rankvideo_rag.synthetic.scenes import FPS, Shape, SyntheticClip
from rankvideo_rag.testing.pattern_detector import BACKGROUNDS
from rankvideo_rag.testing.scripted_vlm import ScriptedVLM

SPEC = RANKVIDEO.model_copy(update={"frames": FrameBudget(fps=2, max_frames=4, min_pixels=4096, max_pixels=4096)})
GREYS = (20, 60, 100, 140, 180, 220)  # brightness of each second of the film


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds, each of its own grey."""
    path = tmp_path_factory.mktemp("film") / "greys.mp4"
    write_video(path, np.repeat(np.array(GREYS, np.uint8), 8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8), fps=8)
    return path


def second(film: Path, number: int) -> VideoSpan:
    return VideoSpan(str(film), float(number), float(number + 1))


def margin_of(question: str, number: int) -> float:
    """The right margin: the question's length by 100, and which second it is."""
    return 100.0 * len(question) + number


def shown(prompt: Prompt) -> Frames:
    return next(part for part in prompt.user if isinstance(part, Frames))


def asked(prompt: Prompt) -> str:
    text = next(part for part in prompt.user if isinstance(part, str))
    return text.partition("Query: ")[2].partition("\n")[0]


class Greys:
    """Gives `margin_of`, and keeps the prompts of each call. `before` runs first and may raise; `spoil` changes the replies."""

    name = "greys"

    def __init__(
        self,
        before: Callable[[Sequence[Prompt]], Any] = lambda prompts: None,
        spoil: Callable[[list[LabelLogprobs]], list[LabelLogprobs]] = lambda replies: replies,
    ) -> None:
        self.calls: list[list[Prompt]] = []
        self._before = before
        self._spoil = spoil

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        self.calls.append(list(prompts))
        self._before(prompts)
        numbers = [round((float(shown(prompt).pixels.mean()) - 20) / 40) for prompt in prompts]
        margins = [margin_of(asked(prompt), number) for prompt, number in zip(prompts, numbers, strict=True)]
        return self._spoil([LabelLogprobs((-0.1, -0.1 - margin)) for margin in margins])

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        raise AssertionError("no text was requested")


def approx(values: Sequence[float | None]) -> Any:
    return [pytest.approx(value) if value is not None else None for value in values]


# Pairs


def test_a_clip_is_decoded_once_for_all_its_questions_which_share_its_frames_side_by_side(film: Path) -> None:
    pairs = [Pair(question, second(film, number)) for question in ("a", "bb", "ccc") for number in (0, 3)]
    vlm, before = Greys(), count_decoder_calls()
    scores = score_pairs(vlm, SPEC, pairs)
    assert count_decoder_calls() - before == 2
    assert [score.margin for score in scores] == approx([margin_of(pair.question, int(pair.span.start or 0)) for pair in pairs])
    (call,) = vlm.calls
    frames = [id(shown(prompt)) for prompt in call]
    assert frames == [frames[0]] * 3 + [frames[3]] * 3
    assert frames[0] != frames[3]


def test_equal_pairs_are_asked_once(film: Path) -> None:
    vlm = Greys()
    scores = score_pairs(vlm, SPEC, [Pair("a", second(film, 1))] * 5)
    assert [len(call) for call in vlm.calls] == [1]
    assert len(scores) == 5
    assert len(set(scores)) == 1


def test_no_pairs_are_no_scores_and_no_call() -> None:
    assert score_pairs(Greys(before=lambda prompts: pytest.fail("called")), SPEC, []) == []


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_score_belongs_to_its_pair_whatever_the_order_the_duplicates_and_the_faults(
    film: Path, data: st.DataObject
) -> None:
    clips: list[int | str] = [0, 1, 2, 5, "gone", "reversed"]
    kinds = st.tuples(st.sampled_from(["a", "bb", "poison", "dddd"]), st.sampled_from(clips))
    drawn = data.draw(st.lists(kinds, max_size=12))
    spoiling = data.draw(st.sampled_from(["nothing", "one lost", "one more", "all lost", "none for two or more"]))

    def spoil(replies: list[LabelLogprobs]) -> list[LabelLogprobs]:
        if spoiling == "one lost" and len(replies) > 1:
            return replies[1:]
        if spoiling == "one more" and len(replies) > 1:
            return [replies[-1], *replies]
        return [] if spoiling == "all lost" or (spoiling == "none for two or more" and len(replies) > 1) else replies

    def poisoned(prompts: Sequence[Prompt]) -> None:
        if any(asked(prompt) == "poison" for prompt in prompts):
            raise ModelError("the engine died")

    def footage(clip: int | str) -> VideoSpan:
        if clip == "gone":
            return VideoSpan(str(film.with_name("gone.mp4")))
        return VideoSpan(str(film), 4.0, 2.0) if clip == "reversed" else second(film, int(clip))

    pairs = [Pair(question, footage(clip)) for question, clip in drawn]
    scores = score_pairs(Greys(poisoned, spoil), SPEC, pairs, ScoringOptions(batch_size=data.draw(st.integers(1, 4))))
    for (question, clip), score in zip(drawn, scores, strict=True):
        if question == "poison" or isinstance(clip, str) or spoiling == "all lost":
            assert (score.margin, score.p_yes, score.status) == (None, None, "failed")
            assert score.reason
        else:
            assert (score.margin, score.status) == (pytest.approx(margin_of(question, clip)), "ok")  # type: ignore[comparison-overlap]
            assert math.isfinite(score.margin or math.nan)


def test_a_query_that_is_left_out_does_not_shift_the_scores_of_the_others(film: Path) -> None:
    # The original zips all query ids with the scores of those that have a text: every later one gets its neighbour's.
    pairs = [Pair("a", second(film, 0)), Pair("b", VideoSpan("/nowhere/gone.mp4")), Pair("cc", second(film, 2))]
    first, missing, last = score_pairs(Greys(), SPEC, pairs)
    assert (first.margin, last.margin) == (pytest.approx(margin_of("a", 0)), pytest.approx(margin_of("cc", 2)))  # type: ignore[comparison-overlap]
    # Nor is a missing video passed over in silence.
    assert (missing.status, missing.margin) == ("failed", None)
    assert (missing.reason or "").startswith("vanished: ")


def test_a_pair_that_breaks_the_model_costs_no_other_its_score(film: Path) -> None:
    def poisoned(prompts: Sequence[Prompt]) -> None:
        if any(asked(prompt) == "poison" for prompt in prompts):
            raise ModelError("the engine died")

    pairs = [Pair("poison" if number == 4 else "a", second(film, number)) for number in range(6)]
    vlm = Greys(poisoned)
    scores = score_pairs(vlm, SPEC, pairs, ScoringOptions(batch_size=8))
    assert [score.margin for score in scores] == approx([None if n == 4 else margin_of("a", n) for n in range(6)])
    assert scores[4].reason == "model: the engine died"
    assert [len(call) for call in vlm.calls] == [6, 3, 3, 1, 2, 1, 1]  # halves


def test_a_model_that_runs_out_of_memory_gets_smaller_batches(film: Path) -> None:
    def small(prompts: Sequence[Prompt]) -> None:
        if len(prompts) > 2:
            raise ModelError("out of memory")

    scores = score_pairs(
        Greys(small), SPEC, [Pair("a", second(film, number)) for number in range(6)], ScoringOptions(batch_size=6)
    )
    assert [score.margin for score in scores] == approx([margin_of("a", number) for number in range(6)])


def test_an_impossible_span_fails_only_its_own_clip(film: Path) -> None:
    good, reversed_span = score_pairs(Greys(), SPEC, [Pair("a", second(film, 0)), Pair("a", VideoSpan(str(film), 3.0, 1.0))])
    assert good.status == "ok"
    assert (reversed_span.reason or "").startswith("no_span: a span from 3.0 to 1.0 s")


# Decoding while the model runs


def test_the_next_clips_are_decoded_while_the_model_runs(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = read_frames(str(film), 0.0, 1.0, budget=SPEC.frames)
    decoded = threading.Semaphore(0)

    def count(path: str, start: float, end: float, **options: Any) -> Frames:
        decoded.release()
        return frames

    def wait_for_others(prompts: Sequence[Prompt]) -> None:
        # The first call waits for its own clips and for the next two: without decoding ahead, these would never come.
        wanted = {1: 4, 5: 0}.get(len(model.calls), 2)
        assert all(decoded.acquire(timeout=60) for _ in range(wanted))

    monkeypatch.setattr(pointwise, "read_frames", count)
    model = Greys(before=wait_for_others)
    pairs = [Pair("a", VideoSpan("x", float(number), 200.0)) for number in range(10)]
    score_pairs(model, SPEC, pairs, ScoringOptions(batch_size=2, decoders=1))
    assert len(model.calls) == 5


def test_no_more_than_three_batches_of_clips_is_in_memory(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    def counted(*arguments: Any, **options: Any) -> Frames:
        nonlocal most
        frames = read_frames(*arguments, **options)
        kept = np.asarray(frames.pixels).view(Kept)
        alive.add(kept)
        most = max(most, len(alive))
        return Frames(kept, frames.times, frames.coverage)

    monkeypatch.setattr(pointwise, "read_frames", counted)
    pairs = [Pair("a", VideoSpan(str(film), 0.1 * number, 0.1 * number + 1)) for number in range(40)]
    model = Greys(before=lambda prompts: time.sleep(0.05))
    model.calls = Forgetful()
    score_pairs(model, SPEC, pairs, ScoringOptions(batch_size=3, decoders=3))
    assert 3 < most <= 9


class Kept(np.ndarray):
    """An array that can be counted while it lives."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


class Forgetful(list):  # type: ignore[type-arg]
    """Remembers no prompt, and so no frames."""

    def append(self, item: Any) -> None:
        return


def ended(threads: set[threading.Thread]) -> bool:
    patience = time.monotonic() + 10
    while any(thread.is_alive() for thread in threads) and time.monotonic() < patience:
        time.sleep(0.01)
    return not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_an_interruption_comes_through_at_once_and_leaves_nothing_running(film: Path, error: type[BaseException]) -> None:
    ours = set(threading.enumerate())
    started: set[threading.Thread] = set()

    def interrupt(prompts: Sequence[Prompt]) -> None:
        started.update(set(threading.enumerate()) - ours)
        raise error

    with pytest.raises(error):
        score_pairs(
            Greys(interrupt),
            SPEC,
            [Pair("a", VideoSpan(str(film), 0.1 * n, 5.0)) for n in range(20)],
            ScoringOptions(batch_size=2),
        )
    assert started
    assert ended({thread for thread in started if thread.name.startswith("prefetch")})
    assert score_pairs(Greys(), SPEC, [Pair("a", second(film, 2))])[0].margin == pytest.approx(margin_of("a", 2))


def test_what_was_asked_ahead_of_time_comes_in_order_and_its_error_in_its_place() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 * (3 - number % 3))
        if number == 4:
            raise ValueError("four")
        return 10 * number

    results = prefetch_map(work, range(6), ahead=4, threads=3)
    assert [next(results) for _ in range(4)] == [0, 10, 20, 30]
    with pytest.raises(ValueError, match="four"):
        next(results)


def test_closing_does_not_wait_for_what_is_under_way() -> None:
    release = threading.Event()
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return number if number == 0 else int(release.wait(30))

    results = prefetch_map(work, range(9), ahead=4, threads=1)
    assert next(results) == 0
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 5
    release.set()
    time.sleep(0.1)
    assert set(begun) <= {0, 1}


def test_clips_whose_turn_comes_after_the_deadline_failed_by_timeout(film: Path) -> None:
    model = Greys(before=lambda prompts: time.sleep(0.4))
    pairs = [Pair("a", second(film, number)) for number in range(6)]
    started = time.monotonic()
    scores = score_pairs(model, SPEC, pairs, ScoringOptions(batch_size=1, deadline=started + 1.0))
    assert time.monotonic() - started < 2.5
    assert scores[0].margin == pytest.approx(margin_of("a", 0))
    assert scores[-1].status == "failed"
    assert (scores[-1].reason or "").startswith("timeout: ")


def test_a_dead_model_is_not_called_again_after_the_deadline(film: Path) -> None:
    def dead(prompts: Sequence[Prompt]) -> None:
        time.sleep(0.3)
        raise ModelError("connection refused")

    model = Greys(dead)
    started = time.monotonic()
    scores = score_pairs(
        model, SPEC, [Pair("a", second(film, n)) for n in range(6)], ScoringOptions(batch_size=6, deadline=started + 0.8)
    )
    assert time.monotonic() - started < 2.0
    assert len(model.calls) <= 4
    assert {score.status for score in scores} == {"failed"}


# Scores that were kept


def test_cached_pairs_are_neither_decoded_nor_sent_to_the_model(film: Path, tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    pairs = [Pair(question, second(film, number)) for question in ("a", "bb") for number in (0, 1)]
    fresh = score_pairs(Greys(), SPEC, pairs, ScoringOptions(cache=cache))
    before = count_decoder_calls()
    nobody = Greys(before=lambda prompts: pytest.fail("asked"))
    assert score_pairs(nobody, SPEC, pairs, ScoringOptions(cache=cache)) == fresh
    assert count_decoder_calls() == before
    partly = Greys()
    score_pairs(partly, SPEC, [*pairs, Pair("ccc", second(film, 1))], ScoringOptions(cache=cache))
    assert [[asked(prompt) for prompt in call] for call in partly.calls] == [["ccc"]]
    other = SPEC.model_copy(update={"system": "another"})
    changed = Greys()
    score_pairs(changed, other, pairs, ScoringOptions(cache=cache))
    assert len(changed.calls[0]) == 4


def test_a_failure_is_not_cached(film: Path, tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    pairs = [Pair("a", second(film, 0)), Pair("a", VideoSpan(str(tmp_path / "gone.mp4")))]

    def dead(prompts: Sequence[Prompt]) -> None:
        raise ModelError("connection refused")

    assert {score.status for score in score_pairs(Greys(dead), SPEC, pairs, ScoringOptions(cache=cache))} == {"failed"}
    os.link(film, tmp_path / "gone.mp4")
    assert {score.status for score in score_pairs(Greys(), SPEC, pairs, ScoringOptions(cache=cache))} == {"ok"}


# Windows


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of a blue square; from 73 to 79 s a red circle in its place."""
    path = tmp_path_factory.mktemp("planted") / "long.mp4"
    parts = [scene("blue", "square", 73.0), scene("red", "circle", 6.0), scene("blue", "square", 41.0)]
    write_video(path, np.concatenate(parts), fps=FPS)
    return path


def scene(colour: str, shape: str, seconds: float) -> Any:
    thing = Shape(colour=colour, shape=shape, motion="still", event="steady", size=60, x=160, y=140, reach=0)
    clip = SyntheticClip(stem="scene", seconds=1 / FPS, background=next(iter(BACKGROUNDS)), shots=((thing,),))
    return np.repeat(render_frames(clip), round(seconds * FPS), axis=0)


class Watching(ScriptedVLM):
    """The pixel rules, counting the frames they are shown."""

    def __init__(self) -> None:
        self.frames = 0

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        self.frames += sum(len(shown(prompt)) for prompt in prompts)
        return super().label_logprobs(prompts, labels)


@pytest.mark.parametrize(
    ("windows", "start", "end"),
    [
        (Windowing(seconds=10), 70.0, 80.0),
        (Windowing(seconds=8, overlap=4), 72.0, 80.0),
        (Windowing(seconds=10, max_windows=2), 70.0, 80.0),
        (Windowing(seconds=10, aggregate="noisy-or"), 70.0, 80.0),
        (Windowing(seconds=10, aggregate="top-mean", top=1), 70.0, 80.0),
    ],
)
def test_an_event_in_a_long_video_is_found_in_its_window(planted: Path, windows: Windowing, start: float, end: float) -> None:
    vlm = Watching()
    (found,) = score_pairs(vlm, RANKVIDEO, [Pair("a red circle", VideoSpan(str(planted)))], ScoringOptions(windows=windows))
    assert found.margin is not None
    assert found.margin > 0
    assert (found.start, found.end) == (start, end)
    if windows.max_windows:
        assert vlm.frames <= 2 * windows.max_windows * RANKVIDEO.frames.max_frames


def test_the_whole_video_at_once_misses_what_is_short(planted: Path) -> None:
    (found,) = score_pairs(
        ScriptedVLM(), RANKVIDEO, [Pair("a red circle", VideoSpan(str(planted)))], ScoringOptions(windows=Windowing())
    )
    assert found.margin is not None
    assert found.margin < 0
    assert (found.start, found.end) == (None, None)


def test_each_question_gets_the_windows_that_are_best_for_it(planted: Path) -> None:
    clip, pairs = VideoSpan(str(planted), 60.0, 100.0), []
    pairs = [Pair("a red circle", clip), Pair("a blue square", clip), Pair("a red circle", VideoSpan("/nowhere/gone.mp4"))]
    red, blue, gone = score_pairs(ScriptedVLM(), RANKVIDEO, pairs, ScoringOptions(windows=Windowing(seconds=10, max_windows=1)))
    assert (red.start, red.end) == (70.0, 80.0)
    assert (blue.start, blue.end) != (70.0, 80.0)
    assert red.margin == blue.margin == pytest.approx(4.0)
    assert (gone.reason or "").startswith("vanished: ")


def test_a_clip_that_ends_beyond_the_end_of_its_file_is_scored_up_to_that_end(film: Path) -> None:
    (found,) = score_pairs(
        Greys(), SPEC, [Pair("a", VideoSpan(str(film), 2.0, 1e9))], ScoringOptions(windows=Windowing(seconds=1))
    )
    assert found.margin == pytest.approx(margin_of("a", 5))
    assert (found.start, found.end) == (pytest.approx(5.0, abs=0.01), pytest.approx(6.0, abs=0.01))  # type: ignore[comparison-overlap]
    (beyond,) = score_pairs(
        Greys(), SPEC, [Pair("a", VideoSpan(str(film), 50.0, 90.0))], ScoringOptions(windows=Windowing(seconds=1))
    )
    assert (beyond.reason or "").startswith("no_span: the clip begins at 50.0 s")


def test_a_question_that_the_coarse_pass_cannot_score_is_not_scored_in_detail(planted: Path) -> None:
    vlm = Watching()
    (found,) = score_pairs(
        vlm,
        RANKVIDEO,
        [Pair("Who won?", VideoSpan(str(planted)))],
        ScoringOptions(windows=Windowing(seconds=10, max_windows=2), limits=MediaLimits()),
    )
    assert found.status == "abstained"
    assert vlm.frames <= 2 * RANKVIDEO.frames.max_frames


# Reasoning


class Thinker(Greys):
    """In doubt about the third and fourth second until it has written something down."""

    def __init__(self, text: str = "I see a bright grey. <answer>yes</answer>", *, mute: bool = False) -> None:
        super().__init__()
        self._text = text
        self._mute = mute
        self.written: list[tuple[Prompt, int]] = []

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        self.calls.append(list(prompts))
        return [LabelLogprobs((-9.0, -9.0 - self._margin(prompt))) for prompt in prompts]

    def _margin(self, prompt: Prompt) -> float:
        number = round((float(shown(prompt).pixels.mean()) - 20) / 40)
        return {2: 6.0, 3: -6.0}.get(number, 5.0) if prompt.prefill else {2: -0.5, 3: 0.5}.get(number, 5.0)

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        if self._mute:
            raise ModelError("no more tokens")
        self.written += [(prompt, max_tokens) for prompt in prompts]
        return [Generation(self._text, 11) for _ in prompts]


def six(film: Path) -> list[Pair]:
    return [Pair("a", second(film, number)) for number in range(6)]


def test_only_pairs_in_doubt_get_a_rationale_and_are_scored_again(film: Path) -> None:
    vlm = Thinker()
    scores = score_pairs(
        vlm, SPEC, six(film), ScoringOptions(reasoning=Reasoning(mode="auto", band=MarginBand(-1.0, 1.0), max_tokens=40))
    )
    assert [score.margin for score in scores] == [5.0, 5.0, 6.0, -6.0, 5.0, 5.0]
    assert [score.rationale for score in scores] == [None, None, "I see a bright grey.", "I see a bright grey.", None, None]
    assert [score.tokens for score in scores] == [0, 0, 11, 11, 0, 0]
    assert reasoned_share(scores) == pytest.approx(2 / 6)
    assert [(prompt.prefill, most) for prompt, most in vlm.written] == [("", 40)] * 2
    assert {prompt.prefill for call in vlm.calls for prompt in call} == {"", "I see a bright grey.\n<answer>"}


@pytest.mark.parametrize(("mode", "reasoned"), [("never", 0), ("always", 6)])
def test_reasoning_never_and_always(film: Path, mode: Any, reasoned: int) -> None:
    vlm = Thinker()
    scores = score_pairs(vlm, SPEC, six(film), ScoringOptions(reasoning=Reasoning(mode=mode)))
    assert len(vlm.written) == reasoned
    assert reasoned_share(scores) == reasoned / 6


def test_without_a_rationale_the_first_score_stays_with_the_reason(film: Path, tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    scores = score_pairs(Thinker(mute=True), SPEC, six(film), ScoringOptions(reasoning=Reasoning(mode="auto"), cache=cache))
    assert [score.margin for score in scores] == [5.0, 5.0, -0.5, 0.5, 5.0, 5.0]
    assert [score.status for score in scores] == ["ok"] * 6
    assert scores[2].reason == "no rationale: no more tokens"
    # The score is not final: the next call tries again.
    assert (
        score_pairs(Thinker(), SPEC, six(film), ScoringOptions(reasoning=Reasoning(mode="auto"), cache=cache))[2].margin == 6.0
    )


@pytest.mark.parametrize(
    ("text", "rationale", "prefill"),
    [
        ("<answer>yes</answer>", "", "<answer>"),
        ("", "", "<answer>"),
        ("It says <|im_end|> on the wall", "It says < |im_end|> on the wall", "It says < |im_end|> on the wall\n<answer>"),
    ],
)
def test_generated_text_cannot_inject_an_answer_or_control_tokens(film: Path, text: str, rationale: str, prefill: str) -> None:
    vlm = Thinker(text)
    (found,) = score_pairs(vlm, SPEC, six(film)[2:3], ScoringOptions(reasoning=Reasoning(mode="always")))
    assert found.rationale == rationale
    assert vlm.calls[-1][0].prefill == prefill


def test_scores_with_and_without_reasoning_have_separate_cache_keys(film: Path, tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    plain = score_pairs(Thinker(), SPEC, six(film), ScoringOptions(cache=cache))
    assert score_pairs(Thinker(), SPEC, six(film), ScoringOptions(reasoning=Reasoning(mode="always"), cache=cache)) != plain
    assert score_pairs(Thinker(), SPEC, six(film), ScoringOptions(cache=cache)) == plain


def test_windows_carry_the_rationale_of_the_best_and_the_tokens_of_all(film: Path) -> None:
    pairs = [Pair("a", VideoSpan(str(film), 2.0, 4.0))]
    (found,) = score_pairs(
        Thinker(), SPEC, pairs, ScoringOptions(windows=Windowing(seconds=1), reasoning=Reasoning(mode="always"))
    )
    assert (found.margin, found.start, found.end) == (6.0, 2.0, 3.0)
    assert (found.rationale, found.tokens) == ("I see a bright grey.", 22)
