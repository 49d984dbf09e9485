"""A tiny NLI model with random weights, of the architecture that the profiles name. What it says means nothing."""

from pathlib import Path

import torch
from transformers import BertTokenizerFast, DebertaV2Config, DebertaV2ForSequenceClassification

WORDS = "the hall has a dome no tower it leaves at nine noon ferry ."
LABELS = ("entailment", "neutral", "contradiction")


def make_tiny_nli(folder: Path, *, max_tokens: int = 16) -> Path:
    """Write a model and its tokenizer into a folder."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=max_tokens)
    config = DebertaV2Config(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=max_tokens,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    torch.manual_seed(0)
    DebertaV2ForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
