"""The cache of verdicts: kept under all that made them, shared by many, never believed when damaged."""

import hashlib
import json
import logging
import math
import os
import pickle
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.commands import COMMAND

from rankvideo_rag.errors import InputError, MediaError, RankVideoError
from rankvideo_rag.files import file_hash
from rankvideo_rag.ranking import cache as cache_module
from rankvideo_rag.ranking.cache import ScoreCache, default_cache_path, open_cache, score_key
from rankvideo_rag.schema import Score

PARTS: dict[str, Any] = {
    "model": "transformers:hltcoe/RankVideo@abc",
    "spec": "0123456789abcdef",
    "content": "c" * 64,
    "start": 1.5,
    "end": 30.0,
    "question": "Where is the clean room?",
    "variant": "",
}


def key(**parts: Any) -> str:
    return score_key(**(PARTS | parts))


def score(margin: float) -> Score:
    return Score(margin=margin, p_yes=1 / (1 + math.exp(-margin)))


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "transformers:hltcoe/RankVideo@abd"},
        {"spec": "0123456789abcdee"},
        {"content": "d" * 64},
        {"start": 0.0},
        {"start": None},
        {"end": None},
        {"start": None, "end": 1.5},
        {"question": "Where is the clean room"},
        {"variant": "always"},
        {"question": "Where is the clean room?always"},
    ],
)
def test_a_change_in_anything_that_made_a_score_is_another_key(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


def test_parts_that_run_together_are_not_confused() -> None:
    assert key(spec="ab", content="c") != key(spec="a", content="bc")
    assert key(question='q", "x', variant="") != key(question="q", variant='x", "')


def test_the_same_moment_written_otherwise_is_the_same_key() -> None:
    assert key(start=0) == key(start=0.0) == key(start=-0.0)


def test_a_time_that_is_no_number_makes_no_key() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        key(start=math.nan)


# --- keeping --------------------------------------------------------------------------------------------------------


def test_a_score_comes_back_to_the_last_digit_in_another_process_too(tmp_path: Path) -> None:
    kept = Score(margin=0.1 + 0.2, p_yes=0.5, logprob_yes=-1e-9, logprob_no=-17.25)
    ScoreCache(tmp_path / "scores.db").put(key(), kept)
    assert ScoreCache(tmp_path / "scores.db").get(key()) == kept
    code = (
        "import sys; from rankvideo_rag.ranking.cache import ScoreCache; print(ScoreCache(sys.argv[1]).get(sys.argv[2]).margin)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "scores.db"), key()]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{0.1 + 0.2}\n"


def test_only_verdicts_are_kept(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    cache.put(key(), Score(status="failed", reason="timeout: …"))
    cache.put(key(), Score(status="abstained", reason="no picture"))
    assert cache.get(key()) is None
    assert cache.info().entries == 0


def test_info_counts_by_model_and_clear_forgets_one_or_all(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    for number in range(5):
        cache.put(key(question=str(number)), score(number))
    cache.put(key(model="größer:7B"), score(9.0))
    info = cache.info()
    assert (info.entries, info.models) == (6, {PARTS["model"]: 5, "größer:7B": 1})
    assert info.bytes >= (tmp_path / "scores.db").stat().st_size > 0
    assert cache.clear("somebody else's") == 0
    assert cache.clear("größer:7B") == 1
    assert cache.get(key(model="größer:7B")) is None
    assert cache.get(key(question="3")) == score(3)
    assert cache.clear() == 5
    assert cache.info().models == {}


def test_a_copy_by_pickle_reads_the_same_file(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    cache.put(key(), score(1.0))
    assert pickle.loads(pickle.dumps(cache)).get(key()) == score(1.0)


def test_threads_and_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    code = (
        "import sys, threading; from rankvideo_rag.ranking.cache import ScoreCache; from rankvideo_rag.schema import Score\n"
        "cache = ScoreCache(sys.argv[1])\n"
        "def work(n):\n"
        "    for i in range(50): cache.put(f'{sys.argv[2]}-{n}-{i}', Score(margin=float(i)))\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    path = tmp_path / "new" / "scores.db"
    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(path), str(p)]) for p in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    cache = ScoreCache(path)
    for process in range(3):
        for thread in range(3):
            for i in range(50):
                assert cache.get(f"{process}-{thread}-{i}") == Score(margin=float(i))
    assert not list(tmp_path.rglob("*damaged*"))


def test_a_forked_child_and_its_parent_both_go_on(tmp_path: Path) -> None:
    code = (
        "import os, sys; from rankvideo_rag.ranking.cache import ScoreCache; from rankvideo_rag.schema import Score\n"
        "cache = ScoreCache(sys.argv[1]); cache.put('before', Score(margin=1.0))\n"
        "child = os.fork()\n"
        "cache.put('child' if child == 0 else 'parent', Score(margin=2.0))\n"
        "assert cache.get('before').margin == 1.0\n"
        "sys.exit(0 if child == 0 else os.waitpid(child, 0)[1])\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "scores.db")], check=False).returncode == 0
    cache = ScoreCache(tmp_path / "scores.db")
    assert [found.margin if (found := cache.get(name)) else None for name in ("before", "child", "parent")] == [1.0, 2.0, 2.0]


# --- damage ---------------------------------------------------------------------------------------------------------


def test_damaged_bytes_never_become_a_score(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "scores.db"
    cache = ScoreCache(path)
    margins = {key(question=str(i)): i + 0.25 for i in range(40)}
    for name, margin in margins.items():
        cache.put(name, score(margin))
    cache.close()  # the last one to close puts the write-ahead log into the file
    whole, chance, set_aside = path.read_bytes(), random.Random(0), 0
    for trial in range(150):
        damaged = bytearray(whole)
        at = chance.randrange(len(whole))
        if trial % 3 == 0:
            damaged[at] ^= 1 << chance.randrange(8)
        elif trial % 3 == 1:
            damaged[at : at + 512] = bytes(len(damaged[at : at + 512]))
        else:
            del damaged[at:]
        for file in tmp_path.iterdir():
            file.unlink()
        path.write_bytes(damaged)
        cache = ScoreCache(path)
        for name, margin in margins.items():
            found = cache.get(name)
            assert found is None or found.margin == margin
        cache.close()
        set_aside += (tmp_path / "scores.db.damaged").exists()
    assert set_aside > 50
    assert sum("is damaged" in record.message for record in caplog.records) >= set_aside


def test_a_digit_changed_in_a_whole_database_is_noticed_said_and_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.db"
    cache = ScoreCache(path)
    cache.put(key(), score(1.5))
    cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE scores SET value = CAST(replace(CAST(value AS TEXT), '1.5', '9.5') AS BLOB)")
    connection.close()
    cache = ScoreCache(path)
    assert cache.get(key()) is None
    assert "is damaged (a row does not match its checksum): renamed to" in caplog.text
    assert b"9.5" in (tmp_path / "scores.db.damaged").read_bytes()
    cache.put(key(), score(1.5))
    assert cache.get(key()) == score(1.5)


def test_a_file_set_aside_by_one_process_is_left_alone_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    one, other = ScoreCache(path), ScoreCache(path)
    one.put(key(), score(1.0))
    assert other.get(key()) == score(1.0)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE scores SET checksum = x'00'")
    connection.close()
    assert one.get(key()) is None
    one.put(key(), score(2.0))
    assert other.get(key()) in (None, score(2.0))  # it sees the damage in the file that it still has open
    assert other.get(key()) == score(2.0)


def test_somebody_elses_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE videos (id)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="is another database"):
        ScoreCache(path).get(key())
    assert path.read_bytes() == before


def test_a_place_where_nothing_can_be_written_is_said_once_and_ranking_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ScoreCache(written(tmp_path / "file", b"") / "rankvideo" / "scores.db")
    video = written(tmp_path / "video.mp4", b"frames")
    for _ in range(3):
        cache.put(key(), score(1.0))
        assert cache.get(key()) is None
        assert cache.content_of(video) == hashlib.sha256(b"frames").hexdigest()
    assert caplog.text.count("continuing without it") == 1
    with pytest.raises(RankVideoError, match="cannot be used"):
        cache.info()


# --- the content of files -------------------------------------------------------------------------------------------


def test_a_file_that_stays_as_it_is_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_CLOCK_TICK", -1.0)  # as if the file were older than any clock's tick
    hashed: list[str] = []

    def counted(path: str) -> str:
        hashed.append(str(path))
        return file_hash(path)

    monkeypatch.setattr(cache_module, "file_hash", counted)
    video = written(tmp_path / "video.mp4", b"frames")
    for _ in range(3):
        assert ScoreCache(tmp_path / "scores.db").content_of(video) == hashlib.sha256(b"frames").hexdigest()
    assert len(hashed) == 1


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_replaced_by_one_of_the_same_size_and_time_is_not_confused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    monkeypatch.setattr(cache_module, "_CLOCK_TICK", -1.0)
    cache = ScoreCache(tmp_path / "scores.db")
    video = written(tmp_path / "video.mp4", b"one")
    times = (video.stat().st_atime_ns, video.stat().st_mtime_ns)
    assert cache.content_of(video) == hashlib.sha256(b"one").hexdigest()
    threading.Event().wait(0.02)  # more than a tick of this file system's clock
    if in_place:
        video.write_bytes(b"two")
    else:
        written(tmp_path / "other.mp4", b"two").replace(video)
    os.utime(video, ns=times)
    assert cache.content_of(video) == hashlib.sha256(b"two").hexdigest()


def test_a_file_too_young_to_tell_its_changes_apart_is_not_remembered(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    cache.content_of(written(tmp_path / "video.mp4", b"frames"))
    assert cache.info().files == 0


def test_a_file_that_is_not_there_has_no_content(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        ScoreCache(tmp_path / "scores.db").content_of(tmp_path / "none.mp4")


# --- places and commands --------------------------------------------------------------------------------------------


def test_it_lies_in_the_users_cache_folder_for_nobody_elses_eyes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = open_cache(None)
    assert cache is not None
    cache.put(key(), score(1.0))
    assert cache.path == tmp_path / "cache" / "rankvideo" / "scores.db"
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the specification
    assert default_cache_path() == Path.home() / ".cache" / "rankvideo" / "scores.db"
    assert open_cache("none") is None


def test_the_command_tells_and_forgets(tmp_path: Path) -> None:
    environment = os.environ | {"RANKVIDEO_SCORE_CACHE": str(tmp_path / "mine.db"), "COLUMNS": "200"}

    def cache(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "cache", *arguments], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
        )

    ScoreCache(tmp_path / "mine.db").put(key(), score(1.0))
    info = json.loads(cache("info", "--json").stdout)
    assert info["models"] == {PARTS["model"]: 1}
    assert (info["path"], info["entries"]) == (str(tmp_path / "mine.db"), 1)
    assert PARTS["model"] in cache("info").stdout
    asked = cache("clear", "--model", "another", "--json")
    assert json.loads(asked.stdout)["cleared"] == 0
    assert f"it holds {PARTS['model']}" in asked.stderr
    assert cache("clear").stdout == "scores deleted: 1\n"
    assert json.loads(cache("info", "--json").stdout)["entries"] == 0
    refused = cache("info", "--cache", "none")
    assert (refused.returncode, "disable the cache" in refused.stderr) == (2, True)


def test_nothing_is_logged_when_all_is_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        cache = ScoreCache(tmp_path / "scores.db")
        cache.put(key(), score(1.0))
        cache.get(key())
    assert caplog.text == ""
