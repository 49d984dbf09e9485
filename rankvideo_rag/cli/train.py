"""rankvideo train: a run as one YAML file tells it, and adapters merged."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import err, out, shown

if TYPE_CHECKING:
    from rankvideo_rag.formats.training_data import TrainingExample

app = typer.Typer(
    name="train",
    help="Train on examples in RankVideo's published format: stage one, stage two, and an embedder.",
    no_args_is_help=True,
)

Config = Annotated[
    Path, typer.Option(help="A YAML file of options; a finished run's training.yaml is one too.", show_default=False)
]


@app.command("perception")
def perception(config: Config) -> None:
    """Stage one: learn to see, by captions of videos written inside <think>."""
    told, examples = _read(config, "PerceptionConfig")
    with _progress():
        _tell(_room("perception").train_perception(told, examples))


@app.command("reranker")
def reranker(config: Config) -> None:
    """Stage two: learn to rank, by groups of one query's videos. The best checkpoint by nDCG@10 on `pools` is kept."""
    told, examples = _read(config, "RerankerConfig")
    with _progress():
        pools = _room("selection").read_pools(told)
        _tell(_room("reranker").train_reranker(told, examples, pools=pools))


@app.command("embedder")
def embedder(config: Config) -> None:
    """Learn to retrieve: questions and videos in one space. The best checkpoint by nDCG@10 on `pools` is kept."""
    told, examples = _read(config, "EmbedderConfig")
    with _progress():
        pools = _room("selection").read_pools(told)
        _tell(_room("embedder").train_embedder(told, examples, pools=pools))


@app.command("merge")
def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder of an adapter.", show_default=False)],
    to: Annotated[Path, typer.Option(help="New folder for the whole model.", show_default=False)],
) -> None:
    """Write an adapter and its base as one model, which every backend loads."""
    _tell(_room("adapters").merge(adapter, to))


def _room(name: str) -> Any:
    """A file of the training room; a package that it lacks becomes an error that names the extra."""
    from rankvideo_rag.backends import import_optional

    return import_optional(f"rankvideo_rag.training.{name}", "train")


def _read(path: Path, kind: str) -> "tuple[Any, list[TrainingExample]]":
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.formats.training_data import read_examples

    room = _room("config")
    config = room.read_config(path, getattr(room, kind))
    if config.data is None:
        raise InputError(f"{path}: `data` is missing: name a file of training examples, one JSON object on each line")
    return config, list(read_examples(config.data))


@contextmanager
def _progress() -> Iterator[None]:
    """What the loop logs, on standard error."""

    class Tell(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            err.print(shown(record.getMessage()), soft_wrap=True)

    logger, handler = logging.getLogger("rankvideo_rag.training"), Tell()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def _tell(folder: Path) -> None:
    out.print(shown(str(folder)), soft_wrap=True)
