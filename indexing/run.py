"""Run indexing from settings: load the models, resolve the config, index the files and update the derived index files."""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rankvideo_rag.backends import import_optional
from rankvideo_rag.indexing.build import IndexEvent, IndexJob, IndexReport, OnEvent, build, known_outcome
from rankvideo_rag.indexing.distributed import build_distributed
from rankvideo_rag.indexing.run_report import RunReport
from rankvideo_rag.indexing.text_index import load_text_embedder_of, needs_text_index, update_text_index
from rankvideo_rag.media import MediaLimits, check_detector, check_reader
from rankvideo_rag.media.discover import absolute_path, discover
from rankvideo_rag.models.asr import load_transcriber
from rankvideo_rag.models.embedders import load_embedder
from rankvideo_rag.models.ocr import load_ocr_reader
from rankvideo_rag.models.text_embedders import TextEmbedder
from rankvideo_rag.schema import FileOutcome
from rankvideo_rag.settings import FAISS, Settings
from rankvideo_rag.storage.database import DATABASE
from rankvideo_rag.storage.index_config import (
    ARCHIVE_SETTINGS,
    TEXT_SETTINGS,
    IndexConfig,
    Models,
    check_embedder,
    resolve_settings,
)
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import IndexOptions, update_index_files
from rankvideo_rag.storage.writer import open_writer

OnStart = Callable[[Sequence[Path], IndexConfig], None]


class Engine(Protocol):
    """What indexes the files of a job: this process, workers on a cluster, or nothing where all files are unchanged."""

    def __call__(self, store: Store, job: IndexJob, *, on_event: OnEvent) -> IndexReport: ...


class IndexRun(NamedTuple):
    """A run that is ready to start."""

    job: IndexJob
    settings: Settings  # with those that the archive remembers
    engine: Engine
    text_embedder: TextEmbedder | None = None  # None where it is switched off, or no text is to be embedded


def index(
    inputs: str | Path | Sequence[str | Path],
    folder: str | Path,
    settings: Settings | None = None,
    /,
    *,
    on_start: OnStart = lambda paths, config: None,
    on_event: OnEvent = lambda event: None,
    **options: Any,
) -> IndexReport:
    """Index the media files under `inputs` into the archive at `folder`, which is created where it is missing.

    Give either `settings` or options as `Settings.load` takes them: `index("videos", "archive", profile="cpu")`. An archive
    remembers its sources and settings: only settings that were given explicitly override them. `on_start` is called with the
    files and the config before the first file, `on_event` at every stage.

    Raises InputError for paths that do not exist, ArchiveMismatch for another embedder, ArchiveLocked while another process
    writes the archive, MissingDependency or ModelError when a model cannot be loaded.
    """
    sources = [Path(given) for given in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    folder, settings = Path(folder), settings or Settings.load(**options)
    paths = discover(sources)
    with ExitStack() as closing:
        store = Store.open(folder, migrate=True) if (folder / DATABASE).exists() else None
        if store:
            closing.callback(store.close)
        run = prepare(store, paths, settings, named=input_files(sources))
        if store is None:
            store = Store.create(folder, run.job.config.model_dump(mode="json"))
            closing.callback(store.close)
        remember_sources(store, sources)
        on_start(paths, run.job.config)
        with RunReport(folder, paths) as report:
            return run_index(store, run, on_event=report.recording(on_event))


def prepare(store: Store | None, paths: Sequence[Path], settings: Settings, *, named: Collection[Path] = ()) -> IndexRun:
    """Prepare a run over these files, for `store` or a new archive. Models are loaded only if a file is new or changed."""
    if store:
        settings = resolve_settings(store.folder, store.index_config, settings)
    settings = settings.model_copy(update={"ocr": _ocr_backend(settings.ocr)})
    limits = MediaLimits.from_settings(settings)
    if store and (stored := _stored_config(store, settings)):
        known = [known_outcome(store, path, stored, named=path in named) for path in paths]
        if None not in known:
            unchanged = partial(_report_unchanged, known=tuple(filter(None, known)))
            config, text_embedder = _text_config(store, stored, settings)
            return IndexRun(IndexJob(paths, config, None, named, limits), settings, unchanged, text_embedder)
    engine = _engine(settings)
    config, models = load_config_and_models(settings)
    if store:
        check_embedder(store.folder, store.index_config, models.embedder.info)
    return IndexRun(IndexJob(paths, config, models, named, limits), settings, engine, models.text_embedder)


def run_index(store: Store, run: IndexRun, *, on_event: OnEvent = lambda event: None) -> IndexReport:
    """Bring the archive and its index files up to date with the files of a run."""
    report = run.engine(store, run.job, on_event=on_event)
    started = time.monotonic()
    texts = update_text_index(store, run.text_embedder, on_video=lambda path: on_event(IndexEvent(path, "text vectors")))
    report = report._replace(texts=report.texts + texts, seconds=report.seconds + time.monotonic() - started)
    update_index_files(store, IndexOptions(gpu=run.settings.gpu), external=run.settings.vector_store != FAISS)
    return report


def remember_sources(store: Store, inputs: Sequence[Path]) -> None:
    """Add the inputs to the sources of the archive."""
    if {absolute_path(given) for given in inputs} - set(store.sources()):
        with open_writer(store) as writer:
            writer.add_sources(inputs)


def input_files(inputs: Sequence[Path]) -> frozenset[Path]:
    """Return the inputs that are files, as absolute paths."""
    return frozenset(absolute_path(given) for given in inputs if given.is_file())


def load_models(settings: Settings) -> Models:
    """Load the models that the settings name. Raises MissingDependency also where the shot detector is missing."""
    if settings.segment_by == "pyscenedetect":
        check_detector(settings.segment_by)
    check_reader(settings.video_reader)
    return Models(
        load_embedder(settings.embedder, settings.embedder_model, device=settings.device),
        None if settings.asr == "none" else load_transcriber(settings.asr, settings.asr_model, device=settings.device),
        None if settings.ocr == "none" else load_ocr_reader(settings.ocr),
        load_text_embedder_of(settings),
    )


def load_config_and_models(settings: Settings) -> tuple[IndexConfig, Models]:
    """Load the models and return them with the index config that they give; workers call this on their own machines."""
    models = load_models(settings)
    config = IndexConfig.from_settings(
        settings,
        models.embedder.info,
        transcriber=models.transcriber.name if models.transcriber else None,
        text_reader=models.text_reader.name if models.text_reader else None,
        text_embedder=models.text_embedder.info if models.text_embedder else None,
    )
    return config, models


def _engine(settings: Settings) -> Engine:
    if settings.engine == "local":
        return build
    ray_engine = import_optional("rankvideo_rag.indexing.ray_engine", "ray")
    loader = ray_engine.ModelLoader(partial(load_config_and_models, settings), settings.device)
    return partial(build_distributed, workers=ray_engine.ray_workers(loader, settings.ray_address))


def _report_unchanged(store: Store, job: IndexJob, *, known: tuple[FileOutcome, ...], on_event: OnEvent) -> IndexReport:
    started = time.monotonic()
    with open_writer(store) as writer:  # where nothing is written, another writer must still be reported
        if job.config != IndexConfig.model_validate(store.index_config):
            writer.set_index_config(job.config.model_dump(mode="json"))
        for path, outcome in zip(job.paths, known, strict=True):
            on_event(IndexEvent(path, None, outcome, unchanged=True))
    return IndexReport(known, len(known), 0, 0, time.monotonic() - started)


def _stored_config(store: Store, settings: Settings) -> IndexConfig | None:
    """Return the archive's config if the settings are those it was made with, but for its text embedder."""
    config = IndexConfig.model_validate(store.index_config)
    names = set(ARCHIVE_SETTINGS) - set(TEXT_SETTINGS)
    return config if all(getattr(settings, name) == config.settings[name] for name in names) else None


def _text_config(store: Store, stored: IndexConfig, settings: Settings) -> tuple[IndexConfig, TextEmbedder | None]:
    """Return the config with the text embedder of the settings, which is loaded where text is to be embedded."""
    is_same = all(stored.settings.get(name) == getattr(settings, name) for name in TEXT_SETTINGS)
    if is_same and not needs_text_index(store, embedded=stored.text_embedder is not None):
        return stored, None
    embedder = load_text_embedder_of(settings)
    return stored.with_text_embedder(settings, embedder.info if embedder else None), embedder


def _ocr_backend(ocr: str) -> str:
    if ocr != "auto":
        return ocr
    return "rapidocr" if find_spec("rapidocr") and find_spec("onnxruntime") else "none"
