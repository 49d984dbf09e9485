"""A Whisper of 3.5 million parameters, trained in seconds to hear three sounds as three sentences, and each word at its time.

The real model class, the real tokenizer and a checkpoint as openai-whisper writes them; only the ears are small. The encoder
keeps its random weights: telling three tunes apart needs no more, and its output is then computed once. Words are timed by
where the last layer's heads look while they are written, so these are taught to look there: each letter of a part takes as
long.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from whisper import load_model
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.model import ModelDimensions, MultiHeadAttention, Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

from rankvideo_rag.media import SAMPLE_RATE
from rankvideo_rag.models.asr.silence_detection import detect_nonsilent
from rankvideo_rag.models.asr.whisper import WhisperTranscriber

STATE = 64
VOCABULARY = 51_865  # the multilingual tokenizer's
LEADS = (0.0, 0.2, 0.3)  # seconds of silence before a sound in training
TICK = 0.02  # seconds: the grid of Whisper's timestamps
LEAD = 0.2  # the silence after which the timestamps below are true


class Sound(NamedTuple):
    """A tune, and what the tiny Whisper is to hear in it: (start, end, text), in seconds from the tune's beginning."""

    tones: tuple[int, ...]  # Hz, in turn, over and over
    tone_seconds: float
    seconds: float
    parts: tuple[tuple[float, float, str], ...]

    def samples(self) -> NDArray[np.float32]:
        """(samples,) float32 at 16 kHz."""
        time = np.arange(round(self.tone_seconds * SAMPLE_RATE)) / SAMPLE_RATE
        count = round(self.seconds / self.tone_seconds)
        tones = [0.3 * np.sin(2 * np.pi * self.tones[i % len(self.tones)] * time) for i in range(count)]
        return np.concatenate(tones).astype(np.float32)


SOUNDS = {
    "rover": Sound((300, 600), 0.2, 2.0, ((0.0, 2.0, "The rover landed on the red planet."),)),
    "choir": Sound(
        (1200, 2400, 1800), 0.3, 3.0, ((0.0, 1.4, "A choir sings in the old church."), (1.4, 3.0, "Then the bells ring."))
    ),
    "rain": Sound((450, 3500), 0.1, 2.4, ((0.0, 2.4, "Rain is expected tomorrow in Lisbon."),)),
}

# Sounds without speech: seconds -> (samples,) float32 at 16 kHz.
NON_SPEECH: dict[str, Callable[[int], NDArray[np.float32]]] = {
    "silence": lambda seconds: np.zeros(seconds * SAMPLE_RATE, np.float32),
    "hiss": lambda seconds: _noise(seconds, 0.0003),
    "noise": lambda seconds: _noise(seconds, 0.2),
    "chords": lambda seconds: _chords(_times(seconds)),
    "drums": lambda seconds: _noise(seconds, 0.4) * np.exp(-12 * (_times(seconds) % 0.5)).astype(np.float32),
}


def _times(seconds: int) -> NDArray[np.float64]:
    return np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE


def _noise(seconds: int, level: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, level, seconds * SAMPLE_RATE).astype(np.float32)


def _chords(time: NDArray[np.float64]) -> NDArray[np.float32]:
    steps = 2 ** (np.floor(time) % 5 / 12)
    tones = np.array([0.1 * np.sin(2 * np.pi * tone * steps * time) for tone in (220, 277, 330)])
    mixed: NDArray[np.float64] = tones.sum(axis=0)
    return mixed.astype(np.float32)


def load(checkpoint: str, *, device: str | None = None) -> WhisperTranscriber:
    """A checkpoint of `write_tiny_whisper` without the voice detector, to which the tunes that it knows are no voices."""
    return WhisperTranscriber(load_model(checkpoint, device="cpu"), f"whisper:{Path(checkpoint).name}", find=detect_nonsilent)


def write_tiny_whisper(path: Path) -> None:
    """Train a tiny Whisper and save it as openai-whisper saves its own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Whisper(ModelDimensions(80, 1500, STATE, 2, 2, VOCABULARY, 64, STATE, 2, 2))
        _train(model)
    torch.save({"dims": vars(model.dims), "model_state_dict": model.state_dict()}, path)


def _train(model: Whisper) -> None:
    """Fit the decoder to the sounds, on the few tokens that occur, then give it its whole vocabulary back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Whisper leaves its vocabulary file open
        tokenizer = get_tokenizer(True, num_languages=99, language="en", task="transcribe")
    examples = [(mel, _tokens(sound, tokenizer)) for sound in SOUNDS.values() for mel in _spectrograms(sound)]
    timed = [(mel, *_timed(sound, lead, tokenizer)) for sound in SOUNDS.values() for lead, mel in _led(sound)]
    used = torch.tensor(sorted({token for _, tokens, *_ in examples + timed for token in tokens}))
    inputs, targets = _padded([tokens for _, tokens, *_ in examples + timed], used)
    targets[len(examples) :, : len(tokenizer.sot_sequence)] = -100  # whether there are timestamps is not for it to say
    with torch.no_grad():
        model.encoder.conv1.weight *= 10  # so that what is heard outweighs where it is heard
        heard = model.encoder(torch.stack([mel for mel, *_ in examples + timed]))
    model.decoder.token_embedding = torch.nn.Embedding(len(used), STATE)
    torch.nn.init.normal_(model.decoder.token_embedding.weight, std=0.1)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.1)
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=3e-3)
    asked: list[torch.Tensor] = []  # what the last layer asks the sound, of the last step
    attention = model.decoder.blocks[-1].cross_attn
    hook = attention.register_forward_pre_hook(lambda module, given: asked.append(given[0]))
    for _ in range(400):
        asked.clear()
        loss = cross_entropy(model.decoder(inputs, heard).flatten(0, 1), targets.flatten(), ignore_index=-100)
        astray = torch.stack(
            [_astray(attention, asked[0][row], heard[row], frames) for row, (_, _, frames) in enumerate(timed, len(examples))]
        ).mean()
        optimizer.zero_grad()
        (loss + astray).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if loss.item() < 0.01 and astray.item() < 0.3:
            break
    else:
        raise AssertionError(f"the tiny Whisper did not learn: loss {loss.item():.4f}, {astray.item():.4f} of looking")
    hook.remove()
    _restore_vocabulary(model, used)


def _spectrograms(sound: Sound) -> list[torch.Tensor]:
    """A sound as Whisper may see it: after several silences, and then either nothing (to transcribe) or silence (to tell the
    language)."""
    leads = [np.pad(sound.samples(), (round(lead * SAMPLE_RATE), round(LEAD * SAMPLE_RATE))) for lead in LEADS]
    return [pad_or_trim(log_mel_spectrogram(audio), N_FRAMES) for audio in leads] + [
        pad_or_trim(log_mel_spectrogram(audio, padding=N_SAMPLES), N_FRAMES) for audio in leads
    ]


def _astray(
    attention: MultiHeadAttention, asked: torch.Tensor, heard: torch.Tensor, frames: list[range | None]
) -> torch.Tensor:
    """How far the heads look from the frames of each token: the mean of -log of the share of their looks that goes there."""
    queries = attention.query(asked[: len(frames)]).unflatten(1, (attention.n_head, -1)).transpose(0, 1)
    keys = attention.key(heard).unflatten(1, (attention.n_head, -1)).transpose(0, 1)
    looks = (queries @ keys.transpose(1, 2) / queries.shape[-1] ** 0.5).log_softmax(dim=-1)  # (heads, tokens, frames)
    there = [looks[:, place, own.start : own.stop].logsumexp(dim=-1) for place, own in enumerate(frames) if own]
    return -torch.stack(there).mean()


def _led(sound: Sound) -> list[tuple[float, torch.Tensor]]:
    """A sound after each of the silences, as it is when its words are timed."""
    return list(zip(LEADS, _spectrograms(sound), strict=False))


def _timed(sound: Sound, lead: float, tokenizer: Tokenizer) -> tuple[list[int], list[range | None]]:
    """<|startoftranscript|><|en|><|transcribe|><|notimestamps|> The rover …<|endoftext|>, and where to look while each of
    these is read: at the frames in which the next one is said."""
    tokens: list[int] = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    frames: list[range | None] = [None] * len(tokenizer.sot_sequence)
    for start, end, text in sound.parts:
        said, letters = tokenizer.encode(f" {text}"), len(text) + 1
        place = 0
        for token in said:
            until = place + len(tokenizer.decode([token]))
            first, last = (round((lead + start + (end - start) * at / letters) / TICK) for at in (place, until))
            frames.append(range(first, max(last, first + 1)))
            place = until
        tokens += said
    end = round((lead + sound.seconds) / TICK)
    return [*tokens, tokenizer.eot], [*frames, range(end, end + 8)]


def _tokens(sound: Sound, tokenizer: Tokenizer) -> list[int]:
    """<|startoftranscript|><|en|><|transcribe|><|0.20|> The rover …<|2.20|><|endoftext|>"""
    tokens = list(tokenizer.sot_sequence)
    for start, end, text in sound.parts:
        first, last = (tokenizer.timestamp_begin + round((time + LEAD) / TICK) for time in (start, end))
        tokens += [first, *tokenizer.encode(f" {text}"), last]
    return [*tokens, tokenizer.eot]


def _padded(sequences: list[list[int]], used: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder reads and what is to follow, (examples, length), as places in `used`; -100 where nothing follows."""
    longest = max(map(len, sequences)) - 1
    inputs = torch.zeros(len(sequences), longest, dtype=torch.long)
    targets = torch.full((len(sequences), longest), -100)
    for row, tokens in enumerate(sequences):
        places = torch.searchsorted(used, torch.tensor(tokens))
        inputs[row, : len(tokens) - 1], targets[row, : len(tokens) - 1] = places[:-1], places[1:]
    return inputs, targets


def _restore_vocabulary(model: Whisper, used: torch.Tensor) -> None:
    """Put the trained tokens back in their places; all others get a score of -20 through one dimension kept constant."""
    whole = torch.nn.Embedding(VOCABULARY, STATE)
    with torch.no_grad():
        whole.weight.zero_()
        whole.weight[:, 0] = -1
        whole.weight[used] = model.decoder.token_embedding.weight
        whole.weight[used, 0] = 0
        model.decoder.ln.weight[0], model.decoder.ln.bias[0] = 0, 20
    model.decoder.token_embedding = whole
