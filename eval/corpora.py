"""Check downloads of published corpora: which files are needed, which are present, and whether they hold the published counts.

Counts are those of the papers and dataset cards; where these print several, a range. Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.multivent import read_multivent_qrels, read_multivent_queries
from rankvideo_rag.formats.rankvideo import load_run, read_video_queries
from rankvideo_rag.formats.wikivideo import read_wikivideo
from rankvideo_rag.schema import Record

Counts = dict[str, int]  # what -> how many


class CountRange(NamedTuple):
    """Both ends included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"


class CorpusFile(NamedTuple):
    """One file of a corpus, by its path in the corpus's folder and at its source."""

    path: str
    what: str
    read_counts: Callable[[Path], Counts]  # reads it strictly
    expected: Mapping[str, CountRange] = {}
    needed: bool = True


class Corpus(NamedTuple):
    """A corpus, with its source and notes on its use."""

    source: str
    files: tuple[CorpusFile, ...]
    notes: tuple[str, ...]


class CorpusFileState(Record):
    """Whether one file of a corpus is present and complete."""

    path: str
    what: str
    needed: bool
    state: Literal["present", "missing", "malformed", "other counts"]
    expected: dict[str, str]  # "1361", "2545 to 2549"
    found: Counts | None = None  # None where it could not be read
    reason: str | None = None  # why it is malformed


def check_corpus(corpus: str, folder: str | Path) -> tuple[CorpusFileState, ...]:
    """Return the state of every file of a corpus in a folder. Raises InputError for an unknown corpus."""
    return tuple(_state(file, Path(folder) / file.path) for file in get_corpus(corpus).files)


def get_corpus(name: str) -> Corpus:
    """Return a corpus by its name on the command line. Raises InputError, which lists the names, for another."""
    if name not in CORPORA:
        raise InputError(f"there is no corpus {name!r}: choose one of {', '.join(CORPORA)}")
    return CORPORA[name]


def _state(file: CorpusFile, path: Path) -> CorpusFileState:
    state = CorpusFileState(
        path=file.path,
        what=file.what,
        needed=file.needed,
        state="missing",
        expected={what: str(one) for what, one in file.expected.items()},
    )
    if not path.is_file():
        return state
    try:
        found = file.read_counts(path)
    except InputError as error:
        return state.model_copy(update={"state": "malformed", "reason": str(error)})
    as_published = all(one.low <= found[what] <= one.high for what, one in file.expected.items())
    return state.model_copy(update={"state": "present" if as_published else "other counts", "found": found})


def _exactly(**counts: int) -> dict[str, CountRange]:
    return {what: CountRange(count, count) for what, count in counts.items()}


def _queries(path: Path) -> Counts:
    return {"queries": len(read_multivent_queries(path))}


def _judgements(path: Path) -> Counts:
    qrels = read_multivent_qrels(path).qrels
    videos = {video for grades in qrels.values() for video in grades}
    return {"queries": len(qrels), "videos": len(videos), "judgements": sum(map(len, qrels.values()))}


def _first_stage(path: Path) -> Counts:
    run = load_run(path)
    return {"queries": len(run), "pairs": sum(map(len, run.values()))}


def _video_queries(path: Path) -> Counts:
    found = read_video_queries(path)
    return {"videos": len(found), "pairs": sum(map(len, found.values()))}


def _topics(path: Path) -> Counts:
    found = read_wikivideo(path)
    return {"topics": len(found.queries), "judgements": sum(map(len, found.qrels.values()))}


CORPORA: dict[str, Corpus] = {
    "multivent2": Corpus(
        source="https://huggingface.co/datasets/hltcoe/MultiVENT2.0 (asks for approval; Apache-2.0)",
        files=(
            CorpusFile("multivent_2_test_queries.csv", "test queries", _queries, {"queries": CountRange(2545, 2549)}),
            CorpusFile("multivent_2_train_queries.csv", "training queries", _queries, _exactly(queries=1361), needed=False),
            CorpusFile(
                "multivent_2_train_judgments.jsonl",
                "training judgements: 1,520 lines, of which two repeat others",
                _judgements,
                _exactly(queries=1361, videos=417, judgements=1518),
                needed=False,
            ),
        ),
        notes=(
            "videos are in videos/{train,test}/SHARD/ID.mp4, where rankvideo rerank --template '{bucket}/{id}.mp4' finds them",
            "the judgements of the test queries are not published: write a run with `rankvideo eval submission` and send it to "
            "the leaderboard (eval.ai, challenge 2507)",
            "few retrieved videos are judged (39 % of the first ten in the paper): report Judged@10 beside nDCG@10",
        ),
    ),
    "wikivideo": Corpus(
        source="https://huggingface.co/datasets/hltcoe/wikivideo; the evaluation subset: "
        "https://github.com/alexmartin1722/mirage, data/wikivideo",
        files=(
            CorpusFile("final_data.json", "all topics", _topics, _exactly(topics=52, judgements=572)),
            CorpusFile(
                "human_eval_subset.json",
                "the ten topics that MiRAGE was evaluated on",
                _topics,
                _exactly(topics=10, judgements=87),
                needed=False,
            ),
        ),
        notes=("claims with their supporting videos measure coverage: alpha_nDCG@10 and StRecall@10 (--claims)",),
    ),
    "rankvideo": Corpus(
        source="https://huggingface.co/datasets/hltcoe/RankVideo-Dataset (MIT)",
        files=(
            CorpusFile("first_stage_results/ranking_AV_OmniEmbed.json", "first stage by OmniEmbed", _first_stage),
            CorpusFile("videos2queriesranking_AV_OmniEmbed.json", "which videos are scored for which queries", _video_queries),
        ),
        notes=("its videos and queries are those of MultiVENT 2.0",),
    ),
}
