"""A Whisper of 3.5 million parameters, trained in seconds to transcribe three tunes as sentences with word times.

Model class, tokenizer and checkpoint format are those of openai-whisper; only the sizes are small. The encoder keeps its random
weights: they suffice to tell three tunes apart, and its output is computed once. Whisper times words by the cross-attention of
the last layer, so that is trained to attend to the frames of each word; all letters of a sentence take equally long.
"""

import warnings
from collections.abc import Callable, Sequence
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
LEAD = 0.2  # seconds of silence before a sound for which the timestamp tokens below are correct


class Tune(NamedTuple):
    """A tune and its transcript: (start, end, text), in seconds from the start of the tune."""

    tones: tuple[int, ...]  # Hz, repeated in turn
    tone_seconds: float
    seconds: float
    parts: tuple[tuple[float, float, str], ...]

    def samples(self) -> NDArray[np.float32]:
        """Return (samples,) float32 at 16 kHz."""
        time = np.arange(round(self.tone_seconds * SAMPLE_RATE)) / SAMPLE_RATE
        count = round(self.seconds / self.tone_seconds)
        tones = [0.3 * np.sin(2 * np.pi * self.tones[i % len(self.tones)] * time) for i in range(count)]
        return np.concatenate(tones).astype(np.float32)


TUNES = {
    "rover": Tune((300, 600), 0.2, 2.0, ((0.0, 2.0, "The rover landed on the red planet."),)),
    "choir": Tune(
        (1200, 2400, 1800), 0.3, 3.0, ((0.0, 1.4, "A choir sings in the old church."), (1.4, 3.0, "Then the bells ring."))
    ),
    "rain": Tune((450, 3500), 0.1, 2.4, ((0.0, 2.4, "Rain is expected tomorrow in Lisbon."),)),
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
    """Load a checkpoint of `write_tiny_whisper` without voice activity detection, which would not find its tunes."""
    return WhisperTranscriber(load_model(checkpoint, device="cpu"), f"whisper:{Path(checkpoint).name}", find=detect_nonsilent)


def write_tiny_whisper(path: Path) -> None:
    """Train a tiny Whisper and save it as openai-whisper saves its own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Whisper(ModelDimensions(80, 1500, STATE, 2, 2, VOCABULARY, 64, STATE, 2, 2))
        _train(model)
    torch.save({"dims": vars(model.dims), "model_state_dict": model.state_dict()}, path)


def _train(model: Whisper) -> None:
    """Fit the decoder to the tunes with the few tokens that occur, then restore its vocabulary."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Whisper leaves its vocabulary file open
        tokenizer = get_tokenizer(True, num_languages=99, language="en", task="transcribe")
    examples = [(mel, _tokens(tune, tokenizer)) for tune in TUNES.values() for mel in _spectrograms(tune)]
    timed = [(mel, *_timed(tune, lead, tokenizer)) for tune in TUNES.values() for lead, mel in _spectrograms_with_lead(tune)]
    used = torch.tensor(sorted({token for _, tokens, *_ in examples + timed for token in tokens}))
    inputs, targets = _padded([tokens for _, tokens, *_ in examples + timed], used)
    targets[len(examples) :, : len(tokenizer.sot_sequence)] = -100  # the model does not choose whether there are timestamps
    with torch.no_grad():
        model.encoder.conv1.weight *= 10  # so that content outweighs position
        encoded = model.encoder(torch.stack([mel for mel, *_ in examples + timed]))
    model.decoder.token_embedding = torch.nn.Embedding(len(used), STATE)
    torch.nn.init.normal_(model.decoder.token_embedding.weight, std=0.1)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.1)
    _fit(model, inputs, targets, encoded, [None] * len(examples) + [frames for *_, frames in timed])
    _restore_vocabulary(model, used)


def _fit(
    model: Whisper,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    encoded: torch.Tensor,
    frames: Sequence[list[range | None] | None],
) -> None:
    """Train the decoder until it predicts the targets, and attends to the given frames of the examples that have some."""
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=3e-3)
    queries: list[torch.Tensor] = []  # the last layer's inputs to its cross-attention, of the last step
    attention = model.decoder.blocks[-1].cross_attn
    hook = attention.register_forward_pre_hook(lambda module, given: queries.append(given[0]))
    for _ in range(400):
        queries.clear()
        loss = cross_entropy(model.decoder(inputs, encoded).flatten(0, 1), targets.flatten(), ignore_index=-100)
        losses = [
            _attention_loss(attention, queries[0][row], encoded[row], own) for row, own in enumerate(frames) if own is not None
        ]
        attention_loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        (loss + attention_loss).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if loss.item() < 0.01 and attention_loss.item() < 0.3:
            hook.remove()
            return
    raise AssertionError(f"the tiny Whisper did not converge: loss {loss.item():.4f}, attention {attention_loss.item():.4f}")


def _spectrograms(tune: Tune) -> list[torch.Tensor]:
    """Return spectrograms of a tune after several silences, padded with zeros (to transcribe) or with silence (to detect the
    language)."""
    leads = [np.pad(tune.samples(), (round(lead * SAMPLE_RATE), round(LEAD * SAMPLE_RATE))) for lead in LEADS]
    return [pad_or_trim(log_mel_spectrogram(audio), N_FRAMES) for audio in leads] + [
        pad_or_trim(log_mel_spectrogram(audio, padding=N_SAMPLES), N_FRAMES) for audio in leads
    ]


def _attention_loss(
    attention: MultiHeadAttention, inputs: torch.Tensor, encoded: torch.Tensor, frames: list[range | None]
) -> torch.Tensor:
    """Return the mean of -log of the attention that each token's own frames get, over heads and tokens."""
    queries = attention.query(inputs[: len(frames)]).unflatten(1, (attention.n_head, -1)).transpose(0, 1)
    keys = attention.key(encoded).unflatten(1, (attention.n_head, -1)).transpose(0, 1)
    weights = (queries @ keys.transpose(1, 2) / queries.shape[-1] ** 0.5).log_softmax(dim=-1)  # (heads, tokens, frames)
    own_frames = [weights[:, place, own.start : own.stop].logsumexp(dim=-1) for place, own in enumerate(frames) if own]
    return -torch.stack(own_frames).mean()


def _spectrograms_with_lead(tune: Tune) -> list[tuple[float, torch.Tensor]]:
    """Return a tune after each of the silences, as it is when its words are timed."""
    return list(zip(LEADS, _spectrograms(tune), strict=False))


def _timed(tune: Tune, lead: float, tokenizer: Tokenizer) -> tuple[list[int], list[range | None]]:
    """Return <|startoftranscript|><|en|><|transcribe|><|notimestamps|> The rover …<|endoftext|>, and for each token the frames
    to attend to: those in which the next token is spoken."""
    tokens: list[int] = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    frames: list[range | None] = [None] * len(tokenizer.sot_sequence)
    for start, end, text in tune.parts:
        tokens_of_part, letters = tokenizer.encode(f" {text}"), len(text) + 1
        place = 0
        for token in tokens_of_part:
            until = place + len(tokenizer.decode([token]))
            first, last = (round((lead + start + (end - start) * at / letters) / TICK) for at in (place, until))
            frames.append(range(first, max(last, first + 1)))
            place = until
        tokens += tokens_of_part
    end = round((lead + tune.seconds) / TICK)
    return [*tokens, tokenizer.eot], [*frames, range(end, end + 8)]


def _tokens(tune: Tune, tokenizer: Tokenizer) -> list[int]:
    """Return <|startoftranscript|><|en|><|transcribe|><|0.20|> The rover …<|2.20|><|endoftext|>."""
    tokens = list(tokenizer.sot_sequence)
    for start, end, text in tune.parts:
        first, last = (tokenizer.timestamp_begin + round((time + LEAD) / TICK) for time in (start, end))
        tokens += [first, *tokenizer.encode(f" {text}"), last]
    return [*tokens, tokenizer.eot]


def _padded(sequences: list[list[int]], used: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the decoder's inputs and targets, (examples, length), as positions in `used`; -100 where there is no target."""
    longest = max(map(len, sequences)) - 1
    inputs = torch.zeros(len(sequences), longest, dtype=torch.long)
    targets = torch.full((len(sequences), longest), -100)
    for row, tokens in enumerate(sequences):
        places = torch.searchsorted(used, torch.tensor(tokens))
        inputs[row, : len(tokens) - 1], targets[row, : len(tokens) - 1] = places[:-1], places[1:]
    return inputs, targets


def _restore_vocabulary(model: Whisper, used: torch.Tensor) -> None:
    """Restore the whole vocabulary; untrained tokens get a score of -20 through one constant dimension."""
    whole = torch.nn.Embedding(VOCABULARY, STATE)
    with torch.no_grad():
        whole.weight.zero_()
        whole.weight[:, 0] = -1
        whole.weight[used] = model.decoder.token_embedding.weight
        whole.weight[used, 0] = 0
        model.decoder.ln.weight[0], model.decoder.ln.bias[0] = 0, 20
    model.decoder.token_embedding = whole
