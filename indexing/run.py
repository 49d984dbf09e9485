"""The whole indexing run behind `rankvideo index`: settings to models, models to a recipe, recipe and files to an archive."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from rankvideo_rag.embedders import load_embedder
from rankvideo_rag.indexing.build import Event, Report, Tools, build
from rankvideo_rag.indexing.discover import discover
from rankvideo_rag.indexing.recipe import Recipe, check_embedder, settings_for
from rankvideo_rag.indexing.store import Store
from rankvideo_rag.indexing.tables import DATABASE
from rankvideo_rag.indexing.vectors import VectorIndex
from rankvideo_rag.indexing.words import load_text_reader, load_transcriber
from rankvideo_rag.media import Limits
from rankvideo_rag.settings import Settings


def index(
    inputs: Sequence[Path],
    folder: Path,
    settings: Settings,
    *,
    begin: Callable[[Sequence[Path], Recipe], None] = lambda paths, recipe: None,
    listen: Callable[[Event], None] = lambda event: None,
) -> Report:
    """Index the media files under `inputs` into the archive at `folder`, made where it is missing.

    An archive remembers how it is made: only settings that were given override that. `begin` is told the files and the
    recipe before the first file, `listen` every stage.

    Raises InputError for paths that are not there, ArchiveMismatch for another embedder, ArchiveLocked when another process
    writes the archive, MissingDependency or ModelError when a model cannot be loaded.
    """
    paths = discover(inputs)
    store = Store.open(folder) if (folder / DATABASE).exists() else None
    if store:
        settings = settings_for(folder, store.recipe, settings)
    settings = settings.model_copy(update={"ocr": _text_reader_name(settings.ocr)})
    tools = load_tools(settings)
    if store:
        check_embedder(folder, store.recipe, tools.embedder.info)
    recipe = Recipe.of(
        settings,
        tools.embedder.info,
        transcriber=tools.transcriber.name if tools.transcriber else None,
        text_reader=tools.text_reader.name if tools.text_reader else None,
    )
    store = store or Store.create(folder, recipe.model_dump(mode="json"))
    try:
        begin(paths, recipe)
        limits = Limits(seconds=settings.media_seconds, bytes=settings.media_bytes)
        report = build(store, paths, recipe, tools, limits=limits, listen=listen)
        VectorIndex.open(store)  # writes the derived file, so that the first question need not
        return report
    finally:
        store.close()


def load_tools(settings: Settings) -> Tools:
    """The models that these settings name."""
    return Tools(
        load_embedder(settings.embedder, settings.embedder_model, device=settings.device),
        None if settings.asr == "none" else load_transcriber(settings.asr, settings.asr_model, device=settings.device),
        None if settings.ocr == "none" else load_text_reader(settings.ocr),
    )


def _text_reader_name(ocr: str) -> str:
    if ocr != "auto":
        return ocr
    return "rapidocr" if find_spec("rapidocr") and find_spec("onnxruntime") else "none"
