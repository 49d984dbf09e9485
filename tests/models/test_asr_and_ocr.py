"""Speech recognition with Whisper on a tiny trained model, and OCR on rendered frames."""

import logging
import os
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import Frames, read_audio, read_key_frames
from rankvideo_rag.models.asr import Transcriber, load_transcriber
from rankvideo_rag.models.asr.common import RecognizedSegment, transcribe_segments
from rankvideo_rag.models.asr.repetition_filter import remove_repeated_phrases, remove_repeated_spans
from rankvideo_rag.models.asr.silence_detection import Segment, detect_nonsilent, group_segments
from rankvideo_rag.models.ocr import OCRReader, load_ocr_reader
from rankvideo_rag.schema import TextSpan, TimedWord

RATE = 16_000

# --- what there is to hear ------------------------------------------------------------------------------------------


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


def hum(seconds: float, level: float) -> NDArray[np.float32]:
    """A square wave: its root mean square is its level."""
    return np.where(np.arange(round(seconds * RATE)) % 100 < 50, level, -level).astype(np.float32)


def test_a_recording_below_minus_60_dbfs_is_silent() -> None:
    assert detect_nonsilent(hum(3, 0.0009)) == []
    assert detect_nonsilent(silence(0)) == []
    assert detect_nonsilent(hum(3, 0.0011)) == [(0, 3)]


def test_long_pauses_divide_segments_and_short_ones_do_not() -> None:
    audio = np.concatenate([silence(5), hum(1, 0.1), silence(1.5), hum(1, 0.1), silence(4), hum(1, 0.1), silence(3)])
    assert [tuple(stretch) for stretch in detect_nonsilent(audio)] == [
        pytest.approx((4.8, 8.7)),  # 0.2 s are kept around a sound
        pytest.approx((12.3, 13.7)),
    ]


def test_long_sound_is_divided_at_its_quietest_place() -> None:
    audio = hum(700, 0.1)
    audio[580 * RATE : 581 * RATE] *= 0.5
    first, second = detect_nonsilent(audio)
    assert first.start == 0
    assert 580 <= first.end == second.start <= 581
    assert second.end == 700


def test_a_group_spans_ten_minutes_at_most() -> None:
    audio = silence(1300)
    for second in (10, 300, 605, 1205):
        audio[second * RATE : (second + 1) * RATE] = 0.1
    starts = [[round(stretch.start, 1) for stretch in passage] for passage in group_segments(detect_nonsilent(audio))]
    assert starts == [[9.8, 299.8, 604.8], [1204.8]]


# --- loops ----------------------------------------------------------------------------------------------------------


def spoken(*texts: str) -> list[TextSpan]:
    return [
        TextSpan(channel="speech", text=text, start=second, end=second + 1, source="whisper")
        for second, text in enumerate(texts)
    ]


def test_a_sentence_repeated_more_than_twice_is_kept_once() -> None:
    twice = spoken("Good evening.", "Thank you.", "Thank you.", "Good night.")
    assert remove_repeated_spans(twice) == twice
    often = spoken("Good evening.", "Thank you.", "thank you", "Thank you!", "Good night.", "Thank you.")
    assert remove_repeated_spans(often) == [often[0], often[1], often[4], often[5]]


def test_a_phrase_repeated_inside_a_sentence_is_kept_once() -> None:
    assert remove_repeated_phrases("and I was " + "going to the " * 40 + "market") == "and I was going to the market"
    assert remove_repeated_phrases("la " * 5) == "la"
    assert remove_repeated_phrases("no no no no, said he") == "no no no no, said he"
    assert remove_repeated_phrases("") == ""


# --- Whisper --------------------------------------------------------------------------------------------------------

ROVER = "The rover landed on the red planet."
CHOIR = ["A choir sings in the old church.", "Then the bells ring."]
RAIN = "Rain is expected tomorrow in Lisbon."


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """On busy cores, threads that wait for one another make so small a model three times slower."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """A trained tiny Whisper: 5 to 15 s once for all tests, half of it for importing torch."""
    pytest.importorskip("whisper")
    from support.tiny_whisper import write_tiny_whisper

    path = tmp_path_factory.mktemp("whisper") / "tiny-trained.pt"
    write_tiny_whisper(path)
    return path


@pytest.fixture(scope="module")
def transcriber(checkpoint: Path) -> Transcriber:
    from support.tiny_whisper import load

    return load(str(checkpoint))


@pytest.fixture
def tune(checkpoint: Path) -> Callable[[str], NDArray[np.float32]]:
    from support.tiny_whisper import TUNES

    return lambda name: TUNES[name].samples()


def test_each_sound_is_transcribed_at_its_time(transcriber: Transcriber, tune: Callable[[str], Any]) -> None:
    for name, texts, start, end in (("rover", [ROVER], 7.0, 9.0), ("choir", CHOIR, 7.0, 10.0), ("rain", [RAIN], 7.0, 9.4)):
        spans = transcriber.transcribe(np.concatenate([silence(7), tune(name), silence(5)]))
        assert [span.text for span in spans] == texts
        assert spans[0].start == pytest.approx(start, abs=0.3)
        assert spans[-1].end == pytest.approx(end, abs=0.3)
        assert {(span.channel, span.source) for span in spans} == {("speech", "whisper")}
        assert all(span.confidence is not None and span.confidence > 0.9 for span in spans)


def test_times_follow_the_sound_not_its_place_in_the_recording(transcriber: Transcriber, tune: Callable[[str], Any]) -> None:
    for order in (("rain", "choir", "rover"), ("rover", "rain", "choir"), ("choir", "rover", "rain")):
        texts = {"rain": [RAIN], "choir": CHOIR, "rover": [ROVER]}
        spans = transcriber.transcribe(np.concatenate([part for name in order for part in (silence(6), tune(name))]))
        assert [span.text for span in spans] == [text for name in order for text in texts[name]]


def test_segment_borders_are_exact_to_a_tenth_of_a_second(transcriber: Transcriber, tune: Callable[[str], Any]) -> None:
    choir, bells = transcriber.transcribe(np.concatenate([silence(20), tune("choir"), silence(1)]))
    assert (choir.start, choir.end) == pytest.approx((20.0, 21.4), abs=0.1)
    assert (bells.start, bells.end) == pytest.approx((21.4, 23.0), abs=0.1)


def test_speech_after_ten_minutes_has_true_times(transcriber: Transcriber, tune: Callable[[str], Any]) -> None:
    audio = silence(660)
    for name, second in (("rover", 5), ("rain", 650)):
        audio[second * RATE :][: len(tune(name))] = tune(name)
    rover, rain = transcriber.transcribe(audio)
    assert (rover.text, rain.text) == (ROVER, RAIN)
    assert (rover.start, rain.start) == pytest.approx((5, 650), abs=0.3)


def test_silence_gives_no_text_and_is_not_passed_to_the_model(checkpoint: Path, tune: Callable[[str], Any]) -> None:
    import whisper

    from rankvideo_rag.models.asr.whisper import WhisperTranscriber

    model = whisper.load_model(str(checkpoint), device="cpu")
    windows: list[int] = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: windows.append(len(inputs[0])))
    transcriber = WhisperTranscriber(model, "tiny", find=detect_nonsilent)
    noise = np.random.default_rng(0).normal(0, 0.0003, 40 * RATE).astype(np.float32)
    for audio in (silence(0), silence(40), noise):
        assert transcriber.transcribe(audio) == []
    assert windows == []
    transcriber.transcribe(tune("rover"))
    assert windows == [1, 1, 1]  # the language, the words, and when each of them is said


def test_spans_stay_within_the_sound(transcriber: Transcriber, tune: Callable[[str], Any]) -> None:
    """Cut off after 1.2 seconds, the tune is still recognised, with an end at two seconds."""
    cut_off = np.concatenate([silence(3), tune("rover")[: round(1.2 * RATE)]])
    for audio, end in ((cut_off, 4.2), (np.concatenate([cut_off, silence(20)]), 4.4)):
        spans = transcriber.transcribe(audio)
        assert spans
        assert all(2.8 <= span.start < span.end <= end for span in spans)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("missing", [1, 79, 81, 159])
def test_sound_that_ends_within_a_spectrogram_frame_comes_to_an_end(
    transcriber: Transcriber, tune: Callable[[str], Any], missing: int
) -> None:
    """Whisper itself, given a clip that ends a fraction of a frame behind the sound, decodes an empty window for ever."""
    assert [span.text for span in transcriber.transcribe(tune("rover")[:-missing])] == [ROVER]


def test_a_very_short_sound_is_transcribed_without_error(transcriber: Transcriber) -> None:
    for samples in (1, 1_600):
        for span in transcriber.transcribe(hum(samples / RATE, 0.5)):
            assert 0 <= span.start < span.end <= samples / RATE


def test_transcripts_are_reproducible_and_keep_the_global_random_state(transcriber: Transcriber) -> None:
    import torch

    noise = np.random.default_rng(0).normal(0, 0.2, 35 * RATE).astype(np.float32)
    before = torch.get_rng_state()
    first = transcriber.transcribe(noise)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    assert transcriber.transcribe(noise) == first
    assert all(0 <= span.start < span.end <= 35 for span in first)


def test_each_word_has_its_own_time(transcriber: Transcriber, tune: Callable[[str], Any]) -> None:
    """All letters of a part have the same duration in the training data of the tiny Whisper."""
    from support.tiny_whisper import TUNES

    for name, begin in (("choir", 40.0), ("rain", 700.0)):
        spans = transcriber.transcribe(np.concatenate([silence(begin), tune(name), silence(5)]))
        for span, (start, end, text) in zip(spans, TUNES[name].parts, strict=True):
            assert [word.text for word in span.words] == text.split()
            letters = np.cumsum([0, *(len(word) + 1 for word in text.split())])
            edges = begin + start + (end - start) * letters / letters[-1]
            assert np.abs([word.start for word in span.words] - edges[:-1]).max() < 0.35
            assert np.abs([word.end for word in span.words] - edges[1:]).max() < 0.35


def test_the_detected_language_is_recorded(transcriber: Transcriber, tune: Callable[[str], Any]) -> None:
    assert {span.language for span in transcriber.transcribe(tune("choir"))} == {"en"}


def test_words_beyond_the_sound_and_repeated_words_are_clamped() -> None:
    """Output of a model whose second segment repeats a phrase and ends after the sound."""
    said = [
        TimedWord(f" {word}", 1.0 + number / 5, 1.2 + number / 5) for number, word in enumerate("so it is so it is".split())
    ]
    loop = [TimedWord(" na", 3 + number / 4, 3.25 + number / 4) for number in range(12)]

    def hear(sound: NDArray[np.float32], edges: list[float]) -> Iterator[RecognizedSegment]:
        yield RecognizedSegment(0.0, 1.0, 2.2, " so it is so it is", -0.1, "de", said)
        yield RecognizedSegment(0.0, 3.0, 6.0, " na" * 12, -0.1, "de", loop)

    first, second = transcribe_segments(hear, hum(5, 0.1), [Segment(0.0, 5.0)], source="test")
    assert (first.text, first.language, first.time_range(9, 14)) == ("so it is so it is", "de", (1.6, 2.0))
    assert (second.text, second.start, second.end, second.time_range(0, 2)) == ("na", 3.0, 5.0, (3.0, 3.25))
    assert max(word.end for word in second.words) == 5.0


@pytest.mark.parametrize("sound", ["silence", "hiss", "noise", "chords", "drums"])
def test_silence_and_music_give_no_text(checkpoint: Path, sound: str) -> None:
    from support.tiny_whisper import NON_SPEECH

    assert load_transcriber("whisper", str(checkpoint), device="cpu").transcribe(NON_SPEECH[sound](20)) == []


def test_speech_is_found_without_the_silence_around_it(shared_videos: Path) -> None:
    pytest.importorskip("whisper")
    from rankvideo_rag.models.asr.whisper import speech_segments

    speech = read_audio(str(shared_videos / "jfk.flac"))
    assert speech is not None
    found = speech_segments(np.concatenate([silence(10), speech, silence(10)]))
    assert all(9.8 <= start < end <= 10 + len(speech) / RATE + 0.2 for start, end in found)  # 0.2 s are kept around a sound
    assert sum(end - start for start, end in found) > 0.8 * len(speech) / RATE


def test_the_name_identifies_the_checkpoint(checkpoint: Path) -> None:
    transcriber = load_transcriber("whisper", str(checkpoint), device="cpu")
    sha256 = subprocess.run(["sha256sum", checkpoint], capture_output=True, text=True, check=True).stdout
    assert transcriber.name == f"whisper:tiny-trained.pt@{sha256[:12]}"


def test_transcribing_prints_nothing(checkpoint: Path, tune: Callable[[str], Any], capfd: pytest.CaptureFixture[str]) -> None:
    load_transcriber("whisper", str(checkpoint), device="cpu").transcribe(tune("rain"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["enormous", "/nowhere/model.pt", None])
def test_an_unknown_model_is_refused_with_the_known_names(name: str | None) -> None:
    pytest.importorskip("whisper")
    with pytest.raises(InputError, match=r"needed one of tiny\.en, .*large-v3, .*or the path of a checkpoint"):
        load_transcriber("whisper", name)


def test_a_failed_download_says_how_to_work_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("whisper")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"'tiny' is not in the cache .*Without a network, give the path of a checkpoint"):
        load_transcriber("whisper", "tiny")


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_an_invalid_checkpoint_is_refused_and_runs_no_code(tmp_path: Path) -> None:
    pytest.importorskip("whisper")
    import torch

    (tmp_path / "empty.pt").touch()
    (tmp_path / "text.pt").write_text("not a checkpoint")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": {}}, tmp_path / "dims.pt")
    torch.save({"dims": _Bomb(tmp_path / "exploded"), "model_state_dict": {}}, tmp_path / "bomb.pt")
    for path in sorted(tmp_path.glob("*.pt")):
        with pytest.raises(ModelError, match=rf"{path.name} cannot be loaded .*Needed: a file with 'dims'"):
            load_transcriber("whisper", str(path), device="cpu")
    assert not (tmp_path / "exploded").exists()


# --- words in pictures ----------------------------------------------------------------------------------------------

Lines = Sequence[tuple[int, int, str]]  # x, y in pixels, words


def picture(lines: Lines = (), *, size: int = 24, shift: int = 0) -> NDArray[np.uint8]:
    """White words on dark blue, 640x360, every pixel brighter by `shift`."""
    image = Image.new("RGB", (640, 360), (20 + shift, 30 + shift, 60 + shift))
    for x, y, words in lines:
        ImageDraw.Draw(image).text((x, y), words, fill="white", font=ImageFont.load_default(size=size))
    return np.asarray(image)


def film(*pictures: NDArray[np.uint8], step: float = 2.0) -> Frames:
    return Frames(np.stack(pictures), np.arange(len(pictures), dtype=np.float64) * step)


def test_recognized_speech_is_indexed_and_cited_at_its_time(
    checkpoint: Path, tune: Callable[[str], NDArray[np.float32]], tmp_path: Path
) -> None:
    from rankvideo_rag import Settings, VideoArchive
    from rankvideo_rag.indexing.run import index

    sound = np.concatenate([silence(7), tune("rover"), silence(5)])
    (tmp_path / "in").mkdir()
    with wave.open(str(tmp_path / "in" / "talk.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    hearing = {"asr": "support.tiny_whisper:load", "asr_model": str(checkpoint)}
    deaf = index([tmp_path / "in"], tmp_path / "archive", Settings.load(ocr="none"))
    assert [(file.outcome, file.clips) for file in deaf.files] == [("ok", 1)]
    heard = index([tmp_path / "in"], tmp_path / "archive", Settings.load(ocr="none", **hearing))
    assert heard.unchanged == 0  # another config: the words are made again
    again = index([tmp_path / "in"], tmp_path / "archive", Settings.load())
    assert (again.unchanged, again.decodes) == (1, 0)  # the archive remembers that it hears
    with VideoArchive.open(tmp_path / "archive") as archive:
        assert archive.store.index_config["transcriber"].startswith("whisper:")
        (span,) = archive.store.spans(next(iter(archive.store.videos())))
        assert [word.text for word in span.words] == ROVER.split()
        assert archive.store.languages() == {"en": 1}
        response = archive.as_query_engine().query(ROVER)
    (citation,) = (response.metadata or {})["answer"]["citations"]
    assert citation["quote"] == ROVER
    assert citation["start"] == pytest.approx(7.0, abs=0.3)
    assert citation["end"] == pytest.approx(9.0, abs=0.3)


@pytest.fixture(scope="module")
def reader() -> OCRReader:
    pytest.importorskip("rapidocr")
    return load_ocr_reader("rapidocr")


class WatchedEngine:
    """A RapidOCR engine that remembers the pictures it is shown."""

    def __init__(self, engine: Any) -> None:
        self.shown: list[NDArray[np.uint8]] = []
        self.engine = engine

    def __call__(self, picture: NDArray[np.uint8]) -> Any:
        self.shown.append(picture)
        return self.engine(picture)


@pytest.fixture
def watched(reader: Any) -> Iterator[WatchedEngine]:
    engine = reader.engine
    reader.engine = WatchedEngine(engine)
    yield reader.engine
    reader.engine = engine


def test_text_lasts_from_its_frame_until_the_next_one(reader: OCRReader) -> None:
    frames = film(picture([(60, 60, "Flood in Lisbon")]), picture(), picture([(60, 200, "Weather at noon")]))
    flood, weather = reader.read(frames, end=7.5)
    assert (flood.text, flood.start, flood.end) == ("Flood in Lisbon", 0.0, 2.0)
    assert (weather.text, weather.start, weather.end) == ("Weather at noon", 4.0, 7.5)
    assert flood.confidence is not None
    assert 0.8 <= flood.confidence <= 1
    assert (flood.channel, flood.source) == ("on_screen", "rapidocr")


def test_text_is_read_top_to_bottom_and_left_to_right(reader: OCRReader) -> None:
    page = picture([(360, 44, "of Portugal"), (60, 260, "Lisbon"), (60, 40, "The weather"), (60, 150, "Rain in the north")])
    (span,) = reader.read(film(page), end=1.0)
    assert span.text == "The weather of Portugal Rain in the north Lisbon"


def test_frames_without_text_give_none(reader: OCRReader) -> None:
    coarse = np.random.default_rng(0).integers(0, 255, (45, 80, 3), dtype=np.uint8)
    clouds = np.asarray(Image.fromarray(coarse).resize((640, 360), Image.Resampling.BICUBIC))
    assert reader.read(film(picture(), clouds), end=4.0) == []
    assert reader.read(Frames(np.zeros((0, 360, 640, 3), np.uint8), np.zeros(0)), end=4.0) == []


def test_an_unchanged_picture_is_read_once(reader: OCRReader, watched: WatchedEngine) -> None:
    title = [(60, 60, "Harbour News")]
    noise = np.random.default_rng(0).normal(0, 8, (360, 640, 3))
    grainy = np.clip(picture(title) + noise, 0, 255).astype(np.uint8)
    (span,) = reader.read(film(picture(title), picture(title), grainy, picture(title, shift=3)), end=8.0)
    assert (span.text, span.start, span.end) == ("Harbour News", 0.0, 8.0)
    assert len(watched.shown) == 1


def test_a_changed_clock_is_read_again(reader: OCRReader) -> None:
    spans = reader.read(film(*(picture([(500, 320, f"LIVE {time}")], size=16) for time in ("12:01", "12:02"))), end=4.0)
    assert [(span.text, span.start, span.end) for span in spans] == [("LIVE 12:01", 0.0, 2.0), ("LIVE 12:02", 2.0, 4.0)]


def test_a_slow_fade_is_detected(reader: OCRReader, watched: WatchedEngine) -> None:
    reader.read(film(*(picture(shift=level) for level in range(0, 24, 3))), end=20.0)
    assert len(watched.shown) == 2  # levels 0 and 12, the first to differ by more than 10; 21 differs from that by 9


def test_the_same_words_on_another_background_are_one_span(reader: OCRReader, watched: WatchedEngine) -> None:
    title = [(60, 60, "Harbour News")]
    (span,) = reader.read(film(picture(title), picture(title, shift=60), picture(title, shift=30)), end=6.0)
    assert (span.text, span.start, span.end) == ("Harbour News", 0.0, 6.0)
    assert len(watched.shown) == 3


def test_the_same_words_after_a_blank_picture_are_two_spans(reader: OCRReader) -> None:
    title = picture([(60, 60, "Harbour News")])
    spans = reader.read(film(title, picture(), title), end=6.0)
    assert [(span.start, span.end) for span in spans] == [(0.0, 2.0), (4.0, 6.0)]


def test_frames_at_or_after_the_end_are_left_out(reader: OCRReader) -> None:
    frames = film(picture([(60, 60, "Harbour News")]), picture([(60, 60, "Weather")]))
    (span,) = reader.read(frames, end=2.0)
    assert (span.text, span.end) == ("Harbour News", 2.0)


def test_upside_down_text_is_not_misread(reader: OCRReader) -> None:
    page = picture([(60, 60, "Flood waters reach Lisbon"), (60, 160, "Breaking News")])
    read = " ".join(span.text for span in reader.read(film(page[::-1, ::-1]), end=1.0))
    assert len(read) <= 10


def test_the_engine_gets_colours_in_its_own_order(reader: OCRReader, watched: WatchedEngine) -> None:
    """RapidOCR expects blue first, and frames come with red first."""
    reader.read(film(np.full((64, 64, 3), (200, 10, 20), np.uint8)), end=1.0)
    assert watched.shown[0][0, 0].tolist() == [20, 10, 200]


def test_reading_prints_nothing_writes_nothing_and_leaves_the_root_logger_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The network is blocked in all tests: a model that is not in the wheel could not be had."""
    rapidocr = pytest.importorskip("rapidocr")
    models = Path(rapidocr.__file__).parent / "models"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    root, before = list(logging.getLogger().handlers), {path: path.stat().st_mtime_ns for path in models.iterdir()}
    load_ocr_reader("rapidocr").read(film(picture([(60, 60, "Harbour")]), picture()), end=4.0)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in models.iterdir()} == before
    assert logging.getLogger().handlers == root


# --- through the media room -----------------------------------------------------------------------------------------


def test_a_real_recording_is_decoded_and_transcribed(
    transcriber: Transcriber, tune: Callable[[str], Any], tmp_path: Path
) -> None:
    path = tmp_path / "rain.wav"
    samples = np.concatenate([silence(4), tune("rain"), silence(2)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    audio = read_audio(str(path))
    assert audio is not None
    (span,) = transcriber.transcribe(audio)
    assert span.text == RAIN
    assert (span.start, span.end) == pytest.approx((4.0, 6.4), abs=0.3)


def test_captions_of_a_real_film_are_read(reader: OCRReader, tmp_path: Path) -> None:
    path = tmp_path / "captions.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for caption in ("Harbour closed", "Ferries cancelled"):
            frame = av.VideoFrame.from_ndarray(picture([(60, 300, caption)]), format="rgb24")
            for _ in range(30):
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    harbour, ferries = reader.read(read_key_frames(str(path), max_pixels=640 * 360), end=6.0)
    assert (harbour.text, ferries.text) == ("Harbour closed", "Ferries cancelled")
    assert (harbour.start, harbour.end, ferries.start, ferries.end) == pytest.approx((0, 3, 3, 6), abs=0.1)


# --- the room -------------------------------------------------------------------------------------------------------


def test_importing_the_package_loads_no_model_library() -> None:
    heavy = ("torch", "whisper", "rapidocr", "onnxruntime", "cv2")
    code = f"import sys, rankvideo_rag.models.asr; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no backend 'parrot' .* it has faster_whisper, whisper, or give"):
        load_transcriber("parrot", None)
