"""Sentences of timed text: their words and their times, by hand."""

from collections.abc import Sequence

import pytest

from rankvideo_rag.schema import TextChannel, TextSpan, TimedWord
from rankvideo_rag.text import timed_sentences


def span(text: str, start: float, end: float, channel: TextChannel = "speech", words: Sequence[TimedWord] = ()) -> TextSpan:
    return TextSpan(channel=channel, text=text, start=start, end=end, source="test", words=tuple(words))


def times(*spans: TextSpan) -> list[tuple[str, float, float]]:
    return [(sentence.text, sentence.start, sentence.end) for sentence in timed_sentences(spans)]


def texts(*spans: TextSpan) -> list[str]:
    return [sentence.text for sentence in timed_sentences(spans)]


def test_captions_without_stops_end_at_pauses() -> None:
    cues = span("alpha crane lifts the beam", 0, 3), span("nine thousand maps", 6, 9), span("omega barge sinks slowly", 27, 30)
    assert times(*cues) == [
        ("alpha crane lifts the beam", 0, 3),
        ("nine thousand maps", 6, 9),
        ("omega barge sinks slowly", 27, 30),
    ]


def test_captions_without_stops_and_pauses_end_at_a_length() -> None:
    cues = [span(f"these are eight words of the line {number}", 3.0 * number, 3.0 * number + 3) for number in range(5)]
    assert [(s.start, s.end) for s in timed_sentences(cues)] == [(0, 6), (6, 12), (12, 15)]  # 16, 16 and 8 words
    slow = [span("one line", 6.0 * number, 6.0 * number + 6) for number in range(3)]
    assert [(s.start, s.end) for s in timed_sentences(slow)] == [(0, 6), (6, 12), (12, 18)]  # of ten seconds at most


def test_a_long_span_without_stops_is_cut_between_words() -> None:
    (first, second) = timed_sentences([span(" ".join(["word"] * 30), 0, 9)])
    assert (len(first.text.split()), len(second.text.split())) == (20, 10)
    assert [first.start, first.end, second.start, second.end] == pytest.approx([0, 6, 6, 9], abs=0.05)


def test_a_pause_between_timed_words_ends_a_sentence_without_stops() -> None:
    words = [TimedWord("hello", 0.0, 0.5), TimedWord("there", 0.5, 1.0), TimedWord("again", 3.0, 3.5)]
    assert times(span("hello there again", 0, 4, words=words)) == [("hello there", 0.0, 1.0), ("again", 3.0, 3.5)]


def test_lyrics_have_a_sentence_for_each_line() -> None:
    lines = ["The river runs below", "Past houses made of snow", "And no one seems to know"]
    assert texts(*[span(line, 2.0 * number, 2.0 * number + 2) for number, line in enumerate(lines)]) == lines
    assert texts(span("♪ la la la ♪", 0, 2), span("♪", 2, 3)) == ["♪ la la la ♪"]


def test_sentences_go_on_across_cues() -> None:
    cues = span("The doors stay, because the panel", 0, 4), span("chose them. They are", 4.2, 6.2), span("green.", 8.5, 9)
    assert times(*cues) == [
        ("The doors stay, because the panel chose them.", 0, 5.3),  # 11 of 20 characters of two seconds
        ("They are green.", 5.4, 9),
    ]


def test_a_long_pause_ends_a_sentence_that_has_no_stop() -> None:
    cues = span("It rains. We", 0, 2), span("Chapter two.", 6, 7), span("The end.", 7, 8)
    assert texts(*cues) == ["It rains.", "We", "Chapter two.", "The end."]


def test_each_speaker_has_own_sentences() -> None:
    assert texts(span("- So it is", 0, 2), span("- Yes. - Is it?", 2, 4)) == ["So it is", "Yes.", "Is it?"]
    assert texts(span("MARISOL: El precio es alto,", 0, 2), span("KEITH: So it is.", 2, 4)) == [
        "MARISOL: El precio es alto,",
        "KEITH: So it is.",
    ]
    assert texts(span(">> hello", 0, 1), span(">> hi", 1, 2)) == ["hello", "hi"]
    assert texts(span("It cooled to", 0, 1), span("-20 degrees – and fell.", 1, 2)) == ["It cooled to -20 degrees – and fell."]


def test_abbreviations_at_the_end_of_a_cue_do_not_end_a_sentence() -> None:
    assert texts(span("We met Dr.", 0, 1), span("Klein on May 3.5.", 1, 2)) == ["We met Dr. Klein on May 3.5."]
    assert texts(span("He waited...", 0, 1), span("and left.", 1, 2)) == ["He waited... and left."]


def test_chinese_is_joined_without_spaces() -> None:
    assert times(span("北门不是打仗的时候毁掉的，", 0, 3), span("是修路的时候拆掉的。", 3, 5)) == [
        ("北门不是打仗的时候毁掉的，是修路的时候拆掉的。", 0, 5)
    ]
    without_stops = [span("我们今天去看城墙和钟楼", 2.0 * number, 2.0 * number + 2) for number in range(5)]
    assert [(s.start, s.end) for s in timed_sentences(without_stops)] == [
        (0, 6),
        (6, 10),
    ]  # two characters are a word


def test_hindi_sentences_end_at_a_danda() -> None:
    assert texts(span("पुल पुराना है। ट्रेन", 0, 2), span("देर से आई।", 2, 3)) == ["पुल पुराना है।", "ट्रेन देर से आई।"]


def test_signs_and_descriptions_are_sentences_of_their_own() -> None:
    spans = [span("EXIT", 0, 1, "on_screen"), span("GATE 9. OPEN", 1, 2, "on_screen")]
    assert times(*spans, span("A boat. A pier.", 0, 9, "description")) == [
        ("EXIT", 0, 1),
        ("GATE 9. OPEN", 1, 2),
        ("A boat.", 0, 9),
        ("A pier.", 0, 9),
    ]
