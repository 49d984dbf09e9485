"""faster-whisper on the tiny trained Whisper: the text of openai-whisper, and none for silence and music."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.asr import Transcriber, load_transcriber
from rankvideo_rag.models.asr.silence_detection import detect_nonsilent

pytest.importorskip("faster_whisper")
pytest.importorskip("whisper")
RATE = 16_000


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import torch
    from support.tiny_whisper import write_tiny_whisper

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("whisper") / "tiny-trained.pt"
    write_tiny_whisper(path)
    yield path
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Path:
    """The tiny Whisper, converted."""
    from support.tiny_faster_whisper import write_tiny_faster_whisper

    write_tiny_faster_whisper(checkpoint, checkpoint.parent / "converted")
    return checkpoint.parent / "converted"


@pytest.fixture(scope="module")
def hears_tunes(model: Path) -> Transcriber:
    """Without voice detection, which does not take the tunes of the tiny Whisper for speech."""
    from faster_whisper import WhisperModel

    from rankvideo_rag.models.asr.faster_whisper import FasterWhisperTranscriber

    return FasterWhisperTranscriber(WhisperModel(str(model), device="cpu", cpu_threads=1), "tiny", find=detect_nonsilent)


def test_transcripts_equal_those_of_openai_whisper(hears_tunes: Transcriber, checkpoint: Path) -> None:
    from support.tiny_whisper import TUNES
    from support.tiny_whisper import load as load_whisper

    audio = np.concatenate([part for name in ("rain", "choir", "rover") for part in (silence(6), TUNES[name].samples())])
    heard = hears_tunes.transcribe(audio)
    said = [text for name in ("rain", "choir", "rover") for _, _, text in TUNES[name].parts]
    assert [span.text for span in heard] == said
    starts = [6.0, 6 + 2.4 + 6, 6 + 2.4 + 6 + 1.4, 6 + 2.4 + 6 + 3 + 6]
    assert [span.start for span in heard] == pytest.approx(starts, abs=0.3)
    assert {(span.channel, span.source) for span in heard} == {("speech", "faster-whisper")}
    assert all(span.confidence is not None and span.confidence > 0.9 for span in heard)
    for one, other in zip(heard, load_whisper(str(checkpoint)).transcribe(audio), strict=True):
        assert (one.text, one.start, one.end) == (other.text, pytest.approx(other.start), pytest.approx(other.end))  # type: ignore[comparison-overlap]
        assert one.language == other.language
        assert [word.text for word in one.words] == [word.text for word in other.words] == one.text.split()
        assert [word.start for word in one.words] == pytest.approx([word.start for word in other.words], abs=0.1)


def test_spans_stay_within_the_sound(hears_tunes: Transcriber) -> None:
    """Cut off after 1.2 seconds, the tune is still recognised, with an end at two seconds."""
    from support.tiny_whisper import TUNES

    cut_off = np.concatenate([silence(3), TUNES["rover"].samples()[: round(1.2 * RATE)], silence(20)])
    spans = hears_tunes.transcribe(cut_off)
    assert spans
    assert all(2.8 <= span.start < span.end <= 4.4 for span in spans)


@pytest.mark.parametrize("sound", ["silence", "hiss", "noise", "chords", "drums"])
def test_silence_and_music_give_no_text(model: Path, sound: str) -> None:
    from support.tiny_whisper import NON_SPEECH

    assert load_transcriber("faster_whisper", str(model), device="cpu").transcribe(NON_SPEECH[sound](20)) == []


def test_speech_is_found_without_the_silence_around_it(shared_videos: Path) -> None:
    from rankvideo_rag.media import read_audio
    from rankvideo_rag.models.asr.faster_whisper import speech_segments

    speech = read_audio(str(shared_videos / "jfk.flac"))
    assert speech is not None
    found = speech_segments(np.concatenate([silence(10), speech, silence(10)]))
    assert found
    assert all(9.8 <= start < end <= 10 + len(speech) / RATE + 0.2 for start, end in found)  # 0.2 s are kept around a sound
    assert sum(end - start for start, end in found) > 0.8 * len(speech) / RATE


def test_the_name_identifies_the_model(model: Path) -> None:
    from hashlib import sha256

    digest = sha256((model / "model.bin").read_bytes()).hexdigest()
    assert load_transcriber("faster_whisper", str(model), device="cpu").name == f"faster-whisper:converted@{digest[:12]}"


@pytest.mark.parametrize("name", ["enormous", "/nowhere/model", None])
def test_an_unknown_model_is_refused_with_the_known_names(name: str | None) -> None:
    with pytest.raises(InputError, match=r"needed one of tiny\.en, .*large-v3, .*or the path of a folder"):
        load_transcriber("faster_whisper", name)


def test_an_invalid_model_folder_is_refused_with_the_conversion_command(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks model\.bin, config\.json, tokenizer\.json\. Make one with: ct2-transformers"):
        load_transcriber("faster_whisper", str(tmp_path))
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=r"cannot be loaded .*give the path of a folder with model\.bin"):
        load_transcriber("faster_whisper", str(tmp_path), device="cpu")


def test_a_failed_download_says_how_to_work_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"'tiny' cannot be loaded .*Without a network, give the path of a folder"):
        load_transcriber("faster_whisper", "tiny")
