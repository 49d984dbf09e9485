"""Convert the tiny Whisper of `tiny_whisper` for faster-whisper: the same weights and vocabulary in CTranslate2's format."""

from pathlib import Path

import torch
from ctranslate2.converters.transformers import WhisperLoader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.models.whisper.tokenization_whisper import LANGUAGES
from whisper.tokenizer import get_tokenizer

# Parameter names of openai-whisper -> those of transformers.
_NAMES = {
    "blocks": "layers",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
    ".attn.query": ".self_attn.q_proj",
    ".attn.key": ".self_attn.k_proj",
    ".attn.value": ".self_attn.v_proj",
    ".attn.out": ".self_attn.out_proj",
    ".attn_ln": ".self_attn_layer_norm",
    ".cross_attn.query": ".encoder_attn.q_proj",
    ".cross_attn.key": ".encoder_attn.k_proj",
    ".cross_attn.value": ".encoder_attn.v_proj",
    ".cross_attn.out": ".encoder_attn.out_proj",
    ".cross_attn_ln": ".encoder_attn_layer_norm",
    "decoder.ln.": "decoder.layer_norm.",
    "encoder.ln_post.": "encoder.layer_norm.",
    "token_embedding": "embed_tokens",
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
}


def write_tiny_faster_whisper(checkpoint: Path, folder: Path) -> None:
    """Convert a checkpoint of openai-whisper into a folder for faster-whisper."""
    folder.mkdir()
    saved = torch.load(checkpoint, weights_only=True)
    tokens = _vocabulary(saved["dims"]["n_vocab"])
    spec = WhisperLoader().get_model_spec(_network(saved["dims"], saved["model_state_dict"]))
    spec.register_vocabulary(tokens)
    languages = [number for number, token in enumerate(tokens) if token[2:-2] in LANGUAGES and token.startswith("<|")]
    spec.config.lang_ids, spec.config.suppress_ids, spec.config.suppress_ids_begin = languages, [], []
    spec.config.alignment_heads = [[1, 0], [1, 1]]
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))


def _network(dims: dict[str, int], weights: dict[str, torch.Tensor]) -> WhisperForConditionalGeneration:
    config = WhisperConfig(
        vocab_size=dims["n_vocab"],
        num_mel_bins=dims["n_mels"],
        d_model=dims["n_audio_state"],
        encoder_layers=dims["n_audio_layer"],
        encoder_attention_heads=dims["n_audio_head"],
        decoder_layers=dims["n_text_layer"],
        decoder_attention_heads=dims["n_text_head"],
        encoder_ffn_dim=4 * dims["n_audio_state"],
        decoder_ffn_dim=4 * dims["n_text_state"],
        max_target_positions=448,
    )
    network = WhisperForConditionalGeneration(config)
    renamed = {_renamed(name): weight for name, weight in weights.items()}
    positions = renamed["model.decoder.embed_positions.weight"]
    renamed["model.decoder.embed_positions.weight"] = torch.cat(
        [positions, torch.zeros(448 - len(positions), positions.shape[1])]
    )
    renamed["proj_out.weight"] = renamed["model.decoder.embed_tokens.weight"]
    network.load_state_dict(renamed)
    return network


def _renamed(name: str) -> str:
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return f"model.{name}"


def _vocabulary(size: int) -> list[str]:
    """Return every token as transformers writes it: bytes as printable characters."""
    encoding = get_tokenizer(True, num_languages=99).encoding
    printable = pre_tokenizers.ByteLevel.alphabet()
    letters = dict(zip(sorted(range(256), key=_place), sorted(printable), strict=True))
    special = {number: token for token, number in encoding._special_tokens.items()}
    return [
        special[number] if number in special else "".join(letters[b] for b in encoding.decode_single_token_bytes(number))
        for number in range(size)
    ]


def _place(byte: int) -> int:
    """Return the sort key of a byte among the printable characters: printable bytes first, then the others."""
    itself = 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255
    return byte if itself else 256 + byte


def _tokenizer(tokens: list[str]) -> Tokenizer:
    """Return a tokenizer without merges: transcription needs only decoding."""
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens if token.startswith("<|")])
    return tokenizer
