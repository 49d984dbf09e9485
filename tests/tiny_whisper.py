"""A Whisper of 3.5 million parameters, trained in seconds to hear three sounds as three sentences.

The real model class, the real tokenizer and a checkpoint as openai-whisper writes them; only the ears are small. The encoder
keeps its random weights: telling three tunes apart needs no more, and its output is then computed once.
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from whisper.audio import N_FRAMES, N_SAMPLES, SAMPLE_RATE, log_mel_spectrogram, pad_or_trim
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

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
    used = torch.tensor(sorted({token for _, tokens in examples for token in tokens}))
    inputs, targets = _padded([tokens for _, tokens in examples], used)
    with torch.no_grad():
        model.encoder.conv1.weight *= 10  # so that what is heard outweighs where it is heard
        heard = model.encoder(torch.stack([mel for mel, _ in examples]))
    model.decoder.token_embedding = torch.nn.Embedding(len(used), STATE)
    torch.nn.init.normal_(model.decoder.token_embedding.weight, std=0.1)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.1)
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=3e-3)
    for _ in range(400):
        loss = cross_entropy(model.decoder(inputs, heard).flatten(0, 1), targets.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if loss.item() < 0.01:
            break
    else:
        raise AssertionError(f"the tiny Whisper did not learn: loss {loss.item():.4f}")
    _restore_vocabulary(model, used)


def _spectrograms(sound: Sound) -> list[torch.Tensor]:
    """A sound as Whisper may see it: after several silences, and then either nothing (to transcribe) or silence (to tell the
    language)."""
    leads = [np.pad(sound.samples(), (round(lead * SAMPLE_RATE), round(LEAD * SAMPLE_RATE))) for lead in LEADS]
    return [pad_or_trim(log_mel_spectrogram(audio), N_FRAMES) for audio in leads] + [
        pad_or_trim(log_mel_spectrogram(audio, padding=N_SAMPLES), N_FRAMES) for audio in leads
    ]


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
