"""How likely a passage answers a question."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from rankvideo_rag.models.cross_encoders import CrossEncoder
from rankvideo_rag.models.text_embedders import load_text_embedder
from rankvideo_rag.ranking.passage_scorer import CrossEncoderScorer, TermScorer
from rankvideo_rag.ranking.relevance import Platt, noisy_or, sigmoid

QUESTION = "When does the ferry to the island leave?"
ANSWER = "The island ferry leaves at nine from the north pier."


def test_words_of_the_question_make_a_passage_likely_and_other_words_do_not() -> None:
    answer, half, other = TermScorer().score(QUESTION, [ANSWER, "The ferry has a cafe.", "Bring a coat and good shoes."])
    assert answer > 0.5 > half > other


def test_a_passage_that_asks_or_only_repeats_the_question_is_less_likely_to_answer_it() -> None:
    asked, repeated, other, answer = TermScorer().score(
        QUESTION, ["And when does the ferry to the island leave?", "The island ferry leaves.", "Good shoes.", ANSWER]
    )
    assert asked == other < repeated < answer
    sign, exact = TermScorer().score("exit 12", ["EXIT", "EXIT 12"])  # keywords are searched, not answered
    assert sign < 0.5 < exact


def test_words_that_ask_for_a_kind_of_answer_need_not_be_repeated() -> None:
    sign, other = TermScorer().score("Which number does the platform sign show?", ["PLATFORM 12 EAST", "LIBRARY ROOM 415"])
    assert sign > 0.5 > other


def test_what_follows_a_question_in_the_same_passage_counts() -> None:
    (found,) = TermScorer().score(QUESTION, [f"When does it go? {ANSWER}"])
    assert found == TermScorer().score(QUESTION, [ANSWER])[0]


def test_a_rare_term_counts_more_than_a_common_one() -> None:
    class Rarity:
        def idf(self, term: str) -> float:
            return {"ferry": 0.5, "island": 4.0}.get(term, 1.0)

    scorer = TermScorer(lambda terms: Rarity())
    rare, common = scorer.score("the ferry and the island", ["The island is green.", "The ferry is green."])
    assert rare > common


def test_similar_meaning_makes_a_passage_likely_without_a_shared_word() -> None:
    scorer = TermScorer(embedder=load_text_embedder("static", "bundled:static-en"))
    similar, other = scorer.score("When does the boat leave?", ["The ship departs at nine.", "Cut the onions fine."])
    assert similar > 2 * other


def test_a_cross_encoders_logits_become_probabilities() -> None:
    class Lengths:
        def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
            return np.array([len(passage) for passage in passages], dtype=np.float32)

    scorer = CrossEncoderScorer(cast(CrossEncoder, Lengths()), Platt(slope=2.0, intercept=-4.0))
    assert scorer.score("q", ["ab", "abc"]) == pytest.approx([0.5, 0.880797], abs=1e-6)  # sigmoid(0), sigmoid(2)
    assert scorer.score("q", []) == TermScorer().score("q", []) == []


def test_a_noisy_or_ignores_what_was_not_scored_and_never_falls_with_more_evidence() -> None:
    assert noisy_or([0.9, None]) == pytest.approx(0.9)
    assert noisy_or([0.9, 0.2]) == pytest.approx(0.92)  # 1 - 0.1 * 0.8
    assert noisy_or([0.9, 0.0]) == pytest.approx(0.9)
    assert noisy_or([]) is None


def test_sigmoid_has_no_overflow() -> None:
    assert (sigmoid(-1e6), sigmoid(1e6), sigmoid(0.0)) == (0.0, 1.0, 0.5)
