"""Tiny BERT text embedders and cross-encoders with random weights, each as sentence-transformers and as ONNX files.

Built from a seed in about a second, without a download. Each function saves a model to a folder and returns the folder.
"""

import json
import warnings
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedModel

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = [*_SPECIAL, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), ".", ",", ":", "?", "the", "##ing", "query"]


def tiny_text_embedder(folder: Path, *, pooling: str = "mean", prompts: dict[str, str] | None = None, seed: int = 0) -> Path:
    """A text embedder of 16 dimensions that reads 32 tokens."""
    _write_files(folder, {"prompts": prompts or {}})
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (folder / "1_Pooling").mkdir()
    modes = {f"pooling_mode_{name}": name.startswith(pooling) for name in ("cls_token", "mean_tokens", "lasttoken")}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **modes}), encoding="utf-8")
    torch.manual_seed(seed)
    _save(BertModel(_config()), folder, "last_hidden_state")
    return folder


def tiny_cross_encoder(folder: Path, *, labels: int = 1, seed: int = 0) -> Path:
    """A cross-encoder with so many outputs, which reads 32 tokens."""
    _write_files(folder, {})
    torch.manual_seed(seed)
    _save(BertForSequenceClassification(_config(num_labels=labels)), folder, "logits")
    return folder


def _config(**options: int) -> BertConfig:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return BertConfig(
        vocab_size=len(VOCABULARY),
        max_position_embeddings=32,
        initializer_range=0.5,
        attn_implementation="eager",
        **sizes,
        **options,
    )


def _write_files(folder: Path, sentence_transformers: dict[str, object]) -> None:
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(_SPECIAL)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), _SPECIAL, strict=True))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 32, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "config_sentence_transformers.json").write_text(json.dumps(sentence_transformers), encoding="utf-8")


class _Traced(torch.nn.Module):
    """A network with positional inputs and a single output, as the exporter traces it."""

    def __init__(self, network: PreTrainedModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        outputs = self.network(input_ids=ids, attention_mask=mask, token_type_ids=types)
        first: torch.Tensor = outputs[0]
        return first


def _save(network: PreTrainedModel, folder: Path, output: str) -> None:
    network.eval()
    network.save_pretrained(folder)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = torch.ones(2, 3, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without a package of its own is deprecated
        torch.onnx.export(
            _Traced(network),
            (example, example, example),
            str(folder / "model.onnx"),
            input_names=names,
            output_names=[output],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names},
            dynamo=False,
        )
