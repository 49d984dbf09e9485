"""The whole indexing run behind `rankvideo index`: settings to models, models to a config, config and files to an archive."""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.backends import import_optional
from rankvideo_rag.indexing.build import IndexEvent, IndexReport, build, known_outcome
from rankvideo_rag.indexing.distributed import build_distributed
from rankvideo_rag.indexing.run_report import RunReport
from rankvideo_rag.media import MediaLimits, check_detector
from rankvideo_rag.media.discover import absolute_path, discover
from rankvideo_rag.models.asr import load_transcriber
from rankvideo_rag.models.embedders import load_embedder
from rankvideo_rag.models.ocr import load_ocr_reader
from rankvideo_rag.schema import FileOutcome
from rankvideo_rag.settings import FAISS, Settings
from rankvideo_rag.storage.index_config import ARCHIVE_SETTINGS, IndexConfig, Models, check_embedder, resolve_settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.tables import DATABASE
from rankvideo_rag.storage.vector_index import IndexOptions, update_index_files
from rankvideo_rag.storage.writer import open_writer


class IndexRun(NamedTuple):
    """A run that is ready to start: the files, those of them that were given by name, and how they are made."""

    paths: Sequence[Path]
    named: Collection[Path]
    config: IndexConfig
    models: Models | None  # None where nothing is new: then no model is loaded
    known: tuple[FileOutcome, ...]  # the outcomes, where nothing is new
    limits: MediaLimits
    gpu: bool = False  # derives the vector index
    faiss: bool = True  # searches the vectors
    build: Callable[..., IndexReport] = build  # this process reads the files, or workers do


def index(
    inputs: Sequence[Path],
    folder: Path,
    settings: Settings,
    *,
    on_start: Callable[[Sequence[Path], IndexConfig], None] = lambda paths, config: None,
    on_event: Callable[[IndexEvent], None] = lambda event: None,
) -> IndexReport:
    """Index the media files under `inputs` into the archive at `folder`, made where it is missing.

    An archive remembers what it is made from and how: only settings that were given override that. `on_start` gets the files
    and the config before the first file, `on_event` every stage.

    Raises InputError for paths that are not there, ArchiveMismatch for another embedder, ArchiveLocked when another process
    writes the archive, MissingDependency or ModelError when a model cannot be loaded.
    """
    paths = discover(inputs)
    with ExitStack() as closing:
        store = Store.open(folder) if (folder / DATABASE).exists() else None
        if store:
            closing.callback(store.close)
        run = prepare(store, paths, settings, named=input_files(inputs))
        if store is None:
            store = Store.create(folder, run.config.model_dump(mode="json"))
            closing.callback(store.close)
        remember_sources(store, inputs)
        on_start(paths, run.config)
        with RunReport(folder, paths) as report:
            return run_index(store, run, on_event=report.recording(on_event))


def prepare(store: Store | None, paths: Sequence[Path], settings: Settings, *, named: Collection[Path] = ()) -> IndexRun:
    """A run over these files, for an archive or one that is to be made. Models are loaded only where a file is new to it."""
    if store:
        settings = resolve_settings(store.folder, store.index_config, settings)
    settings = settings.model_copy(update={"ocr": _text_reader_name(settings.ocr)})
    limits = MediaLimits.from_settings(settings)
    faiss = settings.vector_store == FAISS
    remembered = store and _remembered(store, settings)
    if store and remembered:
        known = [known_outcome(store, path, remembered, named=path in named) for path in paths]
        if None not in known:
            return IndexRun(paths, named, remembered, None, tuple(filter(None, known)), limits, settings.gpu, faiss)
    engine = _engine(settings)
    models = load_models(settings)
    if store:
        check_embedder(store.folder, store.index_config, models.embedder.info)
    return IndexRun(paths, named, _config_of(settings, models), models, (), limits, settings.gpu, faiss, engine)


def run_index(store: Store, run: IndexRun, *, on_event: Callable[[IndexEvent], None] = lambda event: None) -> IndexReport:
    """Bring the archive up to date with the files of a run, and its derived files with the archive."""
    if run.models:
        report = run.build(store, run.paths, run.config, run.models, named=run.named, limits=run.limits, on_event=on_event)
    else:
        began = time.monotonic()
        with open_writer(store):  # nothing is written, but whoever comes while another writes is told so
            for path, outcome in zip(run.paths, run.known, strict=True):
                on_event(IndexEvent(path, None, outcome, unchanged=True))
        report = IndexReport(run.known, len(run.known), 0, 0, time.monotonic() - began)
    if run.faiss:
        update_index_files(store, scale=IndexOptions(gpu=run.gpu))
    return report


def remember_sources(store: Store, inputs: Sequence[Path]) -> None:
    """Have an archive remember what it is made from."""
    if {absolute_path(given) for given in inputs} - set(store.sources()):
        with open_writer(store) as writer:
            writer.add_sources(inputs)


def input_files(inputs: Sequence[Path]) -> frozenset[Path]:
    """Those inputs that are files, as absolute paths."""
    return frozenset(absolute_path(given) for given in inputs if given.is_file())


def load_models(settings: Settings) -> Models:
    """The models that these settings name. Raises MissingDependency also where the detector of shots is missing."""
    if settings.segment_by == "pyscenedetect":
        check_detector(settings.segment_by)
    return Models(
        load_embedder(settings.embedder, settings.embedder_model, device=settings.device),
        None if settings.asr == "none" else load_transcriber(settings.asr, settings.asr_model, device=settings.device),
        None if settings.ocr == "none" else load_ocr_reader(settings.ocr),
    )


def load_with_config(settings: Settings) -> tuple[IndexConfig, Models]:
    """The models that these settings name, and the config that they give, as a worker on another machine needs them."""
    models = load_models(settings)
    return _config_of(settings, models), models


def _config_of(settings: Settings, models: Models) -> IndexConfig:
    return IndexConfig.from_settings(
        settings,
        models.embedder.info,
        transcriber=models.transcriber.name if models.transcriber else None,
        text_reader=models.text_reader.name if models.text_reader else None,
    )


def _engine(settings: Settings) -> Callable[..., IndexReport]:
    """Who reads the files: this process, or workers on a Ray cluster. Raises MissingDependency where Ray is not installed."""
    if settings.engine == "local":
        return build
    ray_engine = import_optional("rankvideo_rag.indexing.ray_engine", "ray")
    loader = ray_engine.ModelLoader(partial(load_with_config, settings), settings.device)
    return partial(build_distributed, workers=ray_engine.ray_workers(loader, settings.ray_address))


def _remembered(store: Store, settings: Settings) -> IndexConfig | None:
    """The archive's own config, if these settings ask for no other."""
    config = IndexConfig.model_validate(store.index_config)
    return config if all(getattr(settings, name) == config.settings[name] for name in ARCHIVE_SETTINGS) else None


def _text_reader_name(ocr: str) -> str:
    if ocr != "auto":
        return ocr
    return "rapidocr" if find_spec("rapidocr") and find_spec("onnxruntime") else "none"
