"""rankvideo train: train from one YAML file per run, and merge adapters."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import err, out, printable
from rankvideo_rag.cli.options import Output

if TYPE_CHECKING:
    from rankvideo_rag.formats.training_data import TrainingExample

app = typer.Typer(
    name="train",
    help="Train on examples in RankVideo's published format: stage 1, stage 2, and an embedder.",
    no_args_is_help=True,
)

Config = Annotated[Path, typer.Option(help="YAML file of options; a finished run's training.yaml works too.")]


@app.command("perception")
def perception(config: Config) -> None:
    """Stage 1: learn to see from captions of videos, written inside <think>."""
    options, examples = _read(config, "PerceptionConfig")
    with _log():
        _print_folder(_module("perception").train_perception(options, examples))


@app.command("reranker")
def reranker(config: Config) -> None:
    """Stage 2: learn to rank from groups of one query's videos. Keeps the checkpoint with the best nDCG@10 on `pools`."""
    _train_with_pools(config, "reranker", "RerankerConfig")


@app.command("embedder")
def embedder(config: Config) -> None:
    """Train an embedder of questions and videos. Keeps the checkpoint with the best nDCG@10 on `pools`."""
    _train_with_pools(config, "embedder", "EmbedderConfig")


@app.command("merge")
def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder of an adapter.")],
    output: Output,
) -> None:
    """Merge an adapter into its base model; every backend loads the result."""
    _print_folder(_module("adapters").merge_adapter(adapter, output))


@app.command("static-text")
def static_text(
    teacher: Annotated[Path, typer.Argument(help="Folder of a text embedder with a WordPiece vocabulary (vocab.txt).")],
    texts: Annotated[Path, typer.Argument(help="Text file with a text on each line, or folder of WordNet 3 data files.")],
    output: Output,
    backend: Annotated[str, typer.Option(help="Text embedder backend of the teacher.")] = "onnx",
    dim: Annotated[int, typer.Option(min=1, help="Dimensions.")] = 256,
) -> None:
    """Distil a static text embedder, which needs no torch, from another text embedder."""
    static = _module("static_text")
    with _log():
        _print_folder(static.distil(teacher, static.read_texts(texts), output, backend=backend, dim=dim))


def _train_with_pools(config: Path, name: str, kind: str) -> None:
    options, examples = _read(config, kind)
    with _log():
        pools = _module("model_selection").read_pools(options)
        _print_folder(getattr(_module(name), f"train_{name}")(options, examples, pools=pools))


def _module(name: str) -> Any:
    """Import a module of rankvideo_rag.training; a missing package becomes an error that names the extra."""
    from rankvideo_rag.backends import import_optional

    return import_optional(f"rankvideo_rag.training.{name}", "train")


def _read(path: Path, kind: str) -> "tuple[Any, list[TrainingExample]]":
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.formats.training_data import read_examples

    module = _module("config")
    config = module.read_config(path, getattr(module, kind))
    if config.data is None:
        raise InputError(f"{path}: `data` is missing: name a file of training examples, one JSON object per line")
    return config, list(read_examples(config.data))


@contextmanager
def _log() -> Iterator[None]:
    """Print the training log on standard error."""

    class Printer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            err.print(printable(record.getMessage()), soft_wrap=True)

    logger, handler = logging.getLogger("rankvideo_rag.training"), Printer()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _print_folder(folder: Path) -> None:
    out.print(printable(str(folder)), soft_wrap=True)
