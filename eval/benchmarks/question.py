"""Time and memory from a question to its fused clips, in a generated archive with speech and vectors of clips and passages.

Words are drawn as in natural language, the n-th most frequent one in proportion to 1 / n; those of questions without the most
frequent ones, as function words are not searched. Embedding a question is not measured: both vectors are given. The archive is
searched in a new process.
"""

import subprocess
import sys
import time
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.eval.benchmarks.search import THREADS, archive_config, peak_memory
from rankvideo_rag.models.text_embedders import PromptedTextEmbedder, TextEmbedderInfo
from rankvideo_rag.schema import Clip, FileOutcome, Probe, Record, TextSpan, Video
from rankvideo_rag.storage.passages import split_passages
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.vector_index import update_index_files
from rankvideo_rag.storage.writer import ArchiveWriter, open_writer

TOP = 100
TEXT_DIM, VISUAL_DIM = 384, 768
CLIPS_PER_VIDEO, CLIP_SECONDS, SPAN_SECONDS, WORDS_PER_SPAN = 100, 30.0, 6.0, 15
VOCABULARY = 30_000
WORDS_PER_QUESTION = 6
FUNCTION_WORDS = 100  # the most frequent words, which are not searched
_WARM_UP = 5  # questions


class QuestionReport(Record):
    """The results. Times are of one question."""

    clips: int
    passages: int
    fused_p50_ms: float  # to the fused list
    fused_p99_ms: float
    rss_mb: float  # most that the searching process had resident, libraries and all
    open_s: float
    questions: int
    threads: int


class _Alone(Record):
    open_s: float
    seconds: list[float]  # of each question
    rss_bytes: int


def benchmark_questions(folder: Path, *, clips: int = 10_000, questions: int = 100, seed: int = 0) -> QuestionReport:
    """Measure an archive of so many clips, which is created in `folder`."""
    random = np.random.default_rng(seed)
    store = Store.create(folder, archive_config(VISUAL_DIM).model_dump(mode="json"))
    with open_writer(store) as writer:
        for number in range(max(1, clips // CLIPS_PER_VIDEO)):
            _put(writer, number, random)
    update_index_files(store)
    passages = store.counts()["passages"]
    store.close()
    asked = [" ".join(_words(random, WORDS_PER_QUESTION, first=FUNCTION_WORDS + 1)) for _ in range(questions + _WARM_UP)]
    (folder / "questions.txt").write_text("\n".join(asked), encoding="utf-8")
    code = "import sys; from rankvideo_rag.eval.benchmarks.question import ask_alone; ask_alone(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, stdout=subprocess.PIPE)
    alone = _Alone.model_validate_json(done.stdout)
    p50, p99 = np.percentile(alone.seconds, (50, 99)) * 1e3
    return QuestionReport(
        clips=clips,
        passages=passages,
        fused_p50_ms=float(p50),
        fused_p99_ms=float(p99),
        rss_mb=alone.rss_bytes / 1e6,
        open_s=alone.open_s,
        questions=questions,
        threads=THREADS,
    )


def _words(random: np.random.Generator, count: int, *, first: int = 1) -> list[str]:
    ranks = np.exp(random.uniform(np.log(first), np.log(VOCABULARY), count)).astype(int)
    return [_word(int(rank)) for rank in ranks]


def _word(rank: int) -> str:
    """Return the word of this rank: letters that no stemmer takes for an ending."""
    letters = "bcdfghjkmnpqrtvwxz"
    digits = []
    while rank:
        rank, digit = divmod(rank, len(letters))
        digits.append(letters[digit])
    return "o".join(digits) + "o"


def _unit(random: np.random.Generator, count: int, dim: int) -> NDArray[np.float32]:
    rows = random.standard_normal((count, dim)).astype(np.float32)
    units: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units


def _put(writer: ArchiveWriter, number: int, random: np.random.Generator) -> None:
    """Write one video with speech from beginning to end."""
    video_id, seconds, path = f"{number:032x}", CLIPS_PER_VIDEO * CLIP_SECONDS, f"/generated/{number}.mp4"
    starts = np.arange(CLIPS_PER_VIDEO) * CLIP_SECONDS
    clips = [Clip(clip_id=f"{video_id}:{at}", video_id=video_id, start=at, end=at + CLIP_SECONDS) for at in starts.tolist()]
    spans = [
        TextSpan(
            channel="speech", text=" ".join(_words(random, WORDS_PER_SPAN)), start=at, end=at + SPAN_SECONDS, source="subtitles"
        )
        for at in np.arange(0, seconds, SPAN_SECONDS).tolist()
    ]
    texts = list(dict.fromkeys(passage.text for passage in split_passages(spans)))
    outcome = FileOutcome(path=path, outcome="ok", clips=len(clips), video_id=video_id)
    writer.put_video(
        Video(video_id=video_id, path=path, title=f"generated {number}", probe=Probe(duration=seconds)),
        clips,
        spans,
        dict(zip((clip.clip_id for clip in clips), _unit(random, len(clips), VISUAL_DIM).astype(np.float16), strict=True)),
        file=KnownFile(1, 0, "generated", outcome),
        text_vectors=dict(zip(texts, _unit(random, len(texts), TEXT_DIM).astype(np.float16), strict=True)),
    )


def ask_alone(folder: str) -> None:
    """Open an archive, ask the questions beside it, and write the measurements to standard output."""
    faiss.omp_set_num_threads(THREADS)
    random = np.random.default_rng(1)
    asked = (Path(folder) / "questions.txt").read_text(encoding="utf-8").splitlines()
    began = time.perf_counter()
    with VideoArchive.open(folder) as archive:
        retriever = archive.as_retriever(top_k=TOP, text_embedder=lambda: _random_embedder(random))
        archive.vectors(), archive.text_vectors("speech")
        open_s = time.perf_counter() - began
        seconds = []
        for question, embedding in zip(asked, _unit(random, len(asked), VISUAL_DIM), strict=True):
            began = time.perf_counter()
            retriever.search_channels(question, embedding.tolist()).fuse()
            seconds.append(time.perf_counter() - began)
    alone = _Alone(open_s=open_s, seconds=seconds[_WARM_UP:], rss_bytes=peak_memory())
    sys.stdout.write(alone.model_dump_json())


def _random_embedder(random: np.random.Generator) -> PromptedTextEmbedder:
    info = TextEmbedderInfo(
        backend="random",
        model=None,
        revision=None,
        dim=TEXT_DIM,
        pooling="none",
        query_prompt="",
        passage_prompt="",
        max_tokens=None,
    )
    return PromptedTextEmbedder(lambda texts: _unit(random, len(texts), TEXT_DIM), info)
