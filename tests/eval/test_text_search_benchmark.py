"""The benchmark of text search: windows, BM25, ranks of windows and clips, and the property of the paraphrase set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.benchmarks.answer_rule import Question, read_questions
from rankvideo_rag.eval.benchmarks.text_search import (
    Window,
    benchmark_bm25,
    benchmark_text_embedder,
    bm25,
    read_windows,
)
from rankvideo_rag.media.subtitle_parser import decode_text, parse_cues
from rankvideo_rag.models.text_embedders import TextEmbedderInfo, Vectors, load_text_embedder
from rankvideo_rag.text import content_tokens, tokenize

DATA = Path(__file__).parents[1] / "data"
TRANSCRIPTS = DATA / "realistic" / "transcripts"
PARAPHRASES = DATA / "paraphrases.jsonl"

WINDOWS = [
    Window("a", 0, 10, "the red boat sails"),
    Window("a", 5, 15, "a boat and a boat"),
    Window("a", 40, 50, "nothing else"),
    Window("b", 0, 10, "red trees grow tall here today"),
]


def question(text: str, video: str, start: float, end: float) -> Question:
    return Question(id="q", question=text, language="en", answerable=True, kind="fact", video=video, start=start, end=end)


class Fixed:
    """An embedder whose questions and passages have given vectors."""

    def __init__(self, queries: list[list[float]], passages: list[list[float]]) -> None:
        self.queries, self.passages = queries, passages
        self.info = TextEmbedderInfo(
            backend="fixed", model=None, revision=None, dim=2, pooling="", query_prompt="", passage_prompt="", max_tokens=None
        )

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return np.array(self.queries, dtype=np.float32)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return np.array(self.passages, dtype=np.float32)


def test_bm25_by_hand() -> None:
    """ "red" is in 2 of 4 windows, of 4 and 6 words; the mean is 4.25 words."""
    idf = np.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    expected = [idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / 4.25)) for length in (4, 6)]
    assert bm25(["What is red?"], WINDOWS)[0] == pytest.approx([expected[0], 0, 0, expected[1]])


def test_ranks_of_windows_and_clips_by_hand() -> None:
    embedder = Fixed([[1, 0], [0, 1]], [[0.6, 0.8], [0.8, 0.6], [1, 0], [0, 1]])
    questions = [question("one", "a", 0, 3), question("two", "b", 0, 3)]
    figures = benchmark_text_embedder("fixed", embedder, questions, WINDOWS)
    # The first question's right window is third; its clip, whose best window has .8, is second.
    assert figures.windows == {1: 0.5, 3: 1, 10: 1}
    assert figures.clips == {1: 0.5, 3: 1, 10: 1}
    assert figures.mrr == 0.75
    unrelated = [0.0, 0.8, 0.6, 0.0]  # question one with b's window, two with a's
    assert (figures.unrelated_mean, figures.unrelated_std) == (pytest.approx(0.35), pytest.approx(np.std(unrelated), abs=1e-3))  # type: ignore[comparison-overlap]


def test_a_moment_that_no_term_finds_has_no_rank() -> None:
    figures = benchmark_bm25([question("a canoe", "a", 0, 3), question("red", "b", 0, 3)], WINDOWS)
    assert figures.clips == {1: 0, 3: 0.5, 10: 0.5}
    assert figures.unrelated_mean is None


def test_windows_are_cues_with_their_neighbours(tmp_path: Path) -> None:
    cues = "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\nline {n}\n\n" for n in range(3))
    (tmp_path / "film.srt").write_text(cues)
    assert read_windows(tmp_path) == [
        Window("film", 0, 1.9, "line 0 line 1"),
        Window("film", 0, 2.9, "line 0 line 1 line 2"),
        Window("film", 1, 2.9, "line 1 line 2"),
    ]
    (passage,) = read_windows(tmp_path, passages=True)
    assert passage == Window("film", 0, 2.9, "line 0 line 1 line 2")
    (tmp_path / "film.srt").unlink()
    with pytest.raises(InputError, match="holds no subtitle files"):
        read_windows(tmp_path)


@pytest.mark.parametrize("paraphrase", read_questions(PARAPHRASES), ids=lambda paraphrase: paraphrase.id)
def test_a_paraphrase_shares_no_content_word_with_the_cues_that_answer(paraphrase: Question) -> None:
    (path,) = TRANSCRIPTS.glob(f"{paraphrase.video}.*")
    place = paraphrase.expected[0]
    cues = [cue for cue in parse_cues(decode_text(path.read_bytes())).cues if place.overlaps(path.name, cue.start, cue.end)]
    assert cues
    said = {token.term for cue in cues for token in tokenize(cue.text)}
    assert not said & {token.term for token in content_tokens(paraphrase.question, "en")}


def test_there_are_forty_paraphrases() -> None:
    assert len({paraphrase.question for paraphrase in read_questions(PARAPHRASES)}) == 40


def test_the_shipped_static_model_finds_paraphrases_that_bm25_does_not() -> None:
    windows, paraphrases = read_windows(TRANSCRIPTS), read_questions(PARAPHRASES)
    static = benchmark_text_embedder("static", load_text_embedder("static", "bundled:static-en"), paraphrases, windows)
    words = benchmark_bm25(paraphrases, windows)
    assert words.clips[3] <= 0.2
    assert static.clips[3] >= 0.5
