"""What is measured of a candidate, and what of it becomes the quote."""

from rankvideo_rag.answering.candidates import Candidate, Scene
from rankvideo_rag.answering.features import Features, measure, shorten, term_weights
from rankvideo_rag.answering.questions import analyse_question
from rankvideo_rag.schema import TextSpan


def candidate(*texts: str, first: int = 0, last: int | None = None) -> Candidate:
    spans = [
        TextSpan(channel="speech", text=text, start=4.0 * i, end=4.0 * i + 4, source="srt") for i, text in enumerate(texts)
    ]
    return Candidate(Scene.of("", spans), first, len(texts) if last is None else last)


def features(question: str, of: Candidate) -> Features:
    analysed = analyse_question(question)
    return measure(analysed, term_weights(analysed, lambda term: 1.0), of, rank=1)


def test_a_quote_ends_with_what_is_asked_for() -> None:
    built = candidate("The lighthouse was built in 1882.", "Its lamp can be seen from eighteen miles away.")
    assert shorten(analyse_question("When was the lighthouse built?"), built).text == "The lighthouse was built in 1882."


def test_a_quote_begins_with_the_terms_of_the_question() -> None:
    kept = candidate("It was a bank until 1958.", "The founder kept her organs in the vault.", "It was dry in there.")
    shown = shorten(analyse_question("Why did the founder keep her organs in the vault?"), kept).text
    assert shown == "The founder kept her organs in the vault. It was dry in there."


def test_a_sentence_with_all_terms_and_more_needs_no_other() -> None:
    baked = candidate("The bakery in Fenwick bakes its bread from rye flour.", "A water mill grinds the flour.")
    shown = shorten(analyse_question("Which flour does the bakery in Fenwick bake its bread from?"), baked).text
    assert shown == "The bakery in Fenwick bakes its bread from rye flour."


def test_a_sentence_that_is_asked_for_verbatim_is_quoted_alone() -> None:
    discovery = candidate("Marta Linden discovered the comet with a telescope.", "She was nineteen.")
    shown = shorten(analyse_question("Marta Linden discovered the comet with a telescope."), discovery).text
    assert shown == "Marta Linden discovered the comet with a telescope."


def test_a_correction_is_kept() -> None:
    lost = candidate("It lost eleven tonnes.", "No, I'm in the wrong row.", "Seven tonnes.")
    assert shorten(analyse_question("How much did it lose?"), lost) == lost


def test_a_candidate_that_ends_with_a_bare_correction_is_taken_back() -> None:
    sentences = ("It lost eleven tonnes of water.", "No, I'm in the wrong row.", "It was seven tonnes.")
    question = "How many tonnes of water did it lose?"
    assert [features(question, candidate(*sentences, last=last)).corrected for last in (1, 2, 3)] == [1.0, 1.0, 0.0]


def test_a_denial_answers_only_near_a_word_of_the_question() -> None:
    sentences = ("The comet did not break apart.", "Then came the lecture.", "Nobody has ever seen the cloud.")
    question = "Did the comet break apart?"
    assert features(question, candidate(*sentences, first=0, last=1)).negates == 1.0
    assert features(question, candidate(*sentences, first=2, last=3)).negates == 0.0


def test_two_words_of_a_question_match_the_compound() -> None:
    found = features("Where is the clean room?", candidate("It stands in one of the largest cleanrooms in Greenbelt."))
    assert (found.own, found.missing) == (1.0, 0.0)
