"""Scores by terms. Expected numbers are made by hand."""

import doctest

import pytest

from rankvideo_rag.ranking import term_scores
from rankvideo_rag.ranking.term_scores import USUAL_TOKENS, QuestionTerms
from rankvideo_rag.storage.full_text import normalize
from rankvideo_rag.storage.passages import IndexedPassage
from rankvideo_rag.storage.term_statistics import TermStatistics


def terms_of(question: str, **frequencies: int) -> QuestionTerms:
    return QuestionTerms.of(question, lambda terms: TermStatistics(1000, {term: frequencies.get(term, 0) for term in terms}))


def test_the_examples_are_true() -> None:
    result = doctest.testmod(term_scores)
    assert result.attempted > 0
    assert result.failed == 0


def usual(text: str) -> str:
    """A text with further words, of usual length."""
    tokens = normalize(text).split()
    return " ".join([*tokens, *["x"] * (USUAL_TOKENS - len(tokens))])


def score(terms: QuestionTerms, text: str) -> float:
    """The score of a passage of usual length that is the only one of its video."""
    return terms.score({1: IndexedPassage("video", 1, "speech", 0.0, usual(text))})[1]


def test_a_passage_with_all_terms_scores_1_and_one_without_0() -> None:
    terms = terms_of("Where is the telescope in the clean room?", telescop=2, clean=30, room=80)
    assert score(terms, "the telescope stands in a clean room") == pytest.approx(1.0)
    assert score(terms, "something else") == 0.0


def test_one_common_word_scores_little_where_the_others_are_said_nowhere() -> None:
    terms = terms_of("a person juggling chainsaws", person=500)
    assert score(terms, "this person reads") < 0.06


def test_two_terms_written_as_one_word_count_as_both() -> None:
    terms = terms_of("the clean room", clean=30, room=80)
    assert score(terms, "in our cleanroom") == pytest.approx(1.0)


def test_adjacent_characters_of_chinese_count_as_a_term() -> None:
    terms = terms_of("望远镜", **{"望 远": 3, "远 镜": 3})
    assert score(terms, "望远镜放在洁净室里") == pytest.approx(1.0)
    assert score(terms, "远望的镜子") == 0.0


def test_a_term_that_is_repeated_counts_each_time() -> None:
    terms = terms_of("dog cat bird", dog=9, cat=9, bird=9)
    once, twice = (score(terms, text) for text in ("dog x", "dog dog"))
    assert once == pytest.approx(1 / 3, abs=1e-4)
    assert once < twice < 2 / 3


def test_a_term_nearby_or_elsewhere_in_the_video_counts_in_part() -> None:
    terms = terms_of("dog cat", dog=9, cat=9)  # equal weights

    def passage(start: float, text: str, *, video: str = "one") -> IndexedPassage:
        return IndexedPassage(video, 1, "speech", start, usual(text))

    found = terms.score(
        {
            1: passage(0, "dog"),
            2: passage(10, "cat"),
            3: passage(500, "dog"),
            4: passage(0, "dog", video="two"),
        }
    )
    assert found == pytest.approx({1: 0.5 * 1.3, 2: 0.5 * 1.3, 3: 0.5 * 1.15, 4: 0.5})
