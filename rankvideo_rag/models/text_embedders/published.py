"""Pooling and prompts of text embedders: from the model's own files, else those that its card publishes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import ModelError
from rankvideo_rag.models.checkpoints import read_config


class Usage(NamedTuple):
    """How a model is used: what becomes a text's vector, and what is put before each text."""

    pooling: str  # "cls", "mean" or "lasttoken"
    query_prompt: str
    passage_prompt: str


_SEARCH = "Represent this sentence for searching relevant passages: "
# Names of models whose folders do not hold their prompts. Sources: their cards on the hub.
_PUBLISHED = {
    r"bge[-_](small|base|large)[-_]en": Usage("cls", _SEARCH, ""),  # BAAI/bge-small-en-v1.5
    r"bge[-_](small|base|large)[-_]zh": Usage("cls", "为这个句子生成表示以用于检索相关文章：", ""),
    r"bge[-_]m3": Usage("cls", "", ""),
    r"(?<![a-z])e5[-_](small|base|large)(?!.*instruct)": Usage(
        "mean", "query: ", "passage: "
    ),  # intfloat/multilingual-e5-small
    r"arctic[-_]embed[-_](xs|s|m|l)(?!.*v2)": Usage("cls", _SEARCH, ""),  # Snowflake/snowflake-arctic-embed-s
    r"arctic[-_]embed[-_][ml][-_]v2": Usage("cls", "query: ", ""),
    r"(all|paraphrase|multi[-_]qa)[-_].*(minilm|mpnet)": Usage("mean", "", ""),  # sentence-transformers/all-MiniLM-L6-v2
    r"gte[-_](small|base|large)": Usage("mean", "", ""),  # thenlper/gte-small
}
_POOLING = {"cls": "cls", "cls_token": "cls", "mean": "mean", "mean_tokens": "mean", "lasttoken": "lasttoken"}


def find_usage(folder: Path, model: str, prompts: Mapping[str, str] | None = None) -> Usage:
    """Return how the model in a folder is used: as its sentence-transformers files say, else as published.

    Raises ModelError where neither tells the pooling: a guess would give vectors without meaning.
    """
    published = _published(model, str(read_config(folder, "config.json").get("_name_or_path", "")), folder.name)
    pooling = _own_pooling(folder) or (published.pooling if published else None)
    if pooling is None:
        raise ModelError(
            f"{model!r} has no 1_Pooling/config.json and is not one of the models known by name, so how its tokens become one "
            f"vector is not known: choose a sentence-transformers model with text_embedder_model"
        )
    if prompts is None:
        prompts = read_config(folder, "config_sentence_transformers.json").get("prompts") or {}
    query = prompts.get("query")
    passage = next((text for name in ("document", "passage", "corpus") if (text := prompts.get(name))), None)
    return Usage(
        pooling,
        query or (published.query_prompt if published else ""),
        passage or (published.passage_prompt if published else ""),
    )


def _published(*names: str) -> Usage | None:
    return next(
        (usage for name in names for pattern, usage in _PUBLISHED.items() if re.search(pattern, name, re.IGNORECASE)), None
    )


def _own_pooling(folder: Path) -> str | None:
    """Return the pooling that sentence-transformers stored: `pooling_mode`, or a flag for each mode before its version 5.4."""
    config = read_config(folder, "1_Pooling/config.json")
    modes = (
        [config["pooling_mode"]]
        if "pooling_mode" in config
        else [
            name.removeprefix("pooling_mode_") for name, on in config.items() if name.startswith("pooling_mode_") and on is True
        ]
    )
    unknown = [mode for mode in modes if mode not in _POOLING]
    if unknown or len(modes) > 1:
        raise ModelError(
            f"{str(folder)!r} pools its tokens by {', '.join(map(str, modes))}: needed is one of cls, mean and lasttoken"
        )
    return _POOLING[modes[0]] if modes else None
