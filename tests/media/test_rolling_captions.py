"""Rolling captions are read as what was said: each line once, when it begins."""

from pathlib import Path

from rankvideo_rag.media import read_subtitles

ROLLING = """WEBVTT
Kind: captions

00:00:00.160 --> 00:00:03.429 align:start position:0%
the<00:00:00.960><c> old</c><00:00:01.520><c> pier</c>

00:00:03.429 --> 00:00:03.439 align:start position:0%
the old pier

00:00:03.439 --> 00:00:05.749 align:start position:0%
the old pier
closes<00:00:03.760><c> at</c><00:00:04.000><c> ten</c>

00:00:05.749 --> 00:00:05.759 align:start position:0%
closes at ten

00:00:05.759 --> 00:00:08.000 align:start position:0%
closes at ten
every<00:00:06.760><c> evening</c>
"""


def lines(folder: Path, text: str, name: str = "v.vtt") -> list[tuple[float, float, str]]:
    (folder / name).write_text(text, encoding="utf-8")
    return [(span.start, span.end, span.text) for span in read_subtitles(str(folder / "v.mp4"))]


def test_each_line_is_read_once_when_it_begins(tmp_path: Path) -> None:
    assert lines(tmp_path, ROLLING) == [
        (0.16, 3.439, "the old pier"),
        (3.439, 5.759, "closes at ten"),
        (5.759, 8.0, "every evening"),
    ]


def test_words_have_the_times_of_their_tags(tmp_path: Path) -> None:
    (tmp_path / "v.vtt").write_text(ROLLING)
    spans = read_subtitles(str(tmp_path / "v.mp4"))
    assert [tuple(word) for word in spans[0].words] == [("the", 0.16, 0.96), ("old", 0.96, 1.52), ("pier", 1.52, 3.429)]
    assert spans[2].time_range(6, 13) == (6.76, 8.0)  # evening


def test_lines_that_roll_up_over_three_rows_are_read_once(tmp_path: Path) -> None:
    rows = ["we met at the gate", "nobody was late", "the bus came at nine", "it was full", "we walked"]
    cues = [f"00:0{n}.000 --> 00:0{n + 1}.000\n" + "\n".join(rows[max(n - 2, 0) : n + 1]) for n in range(5)]
    assert [text for _, _, text in lines(tmp_path, "WEBVTT\n\n" + "\n\n".join(cues))] == rows


def test_a_line_that_grows_word_by_word_is_read_once(tmp_path: Path) -> None:
    grown = ["we", "we met", "we met at", "we met at nine"]
    cues = [f"00:0{n}.000 --> 00:0{n + 1}.000\n{text}" for n, text in enumerate(grown)]
    assert lines(tmp_path, "WEBVTT\n\n" + "\n\n".join(cues)) == [(0, 1, "we"), (1, 2, "met"), (2, 3, "at"), (3, 4, "nine")]


def test_what_is_said_twice_stays_in_other_subtitles(tmp_path: Path) -> None:
    said = ["Stop!", "Stop!", "The train is late.", "Late again?", "Thank you.", "Thank you very much.", "Row, row", "Row, row"]
    cues = [f"{n}\n00:00:0{n},000 --> 00:00:0{n + 1},000\n{text}\n" for n, text in enumerate(said)]
    assert [text for _, _, text in lines(tmp_path, "\n".join(cues), "v.srt")] == said


def test_time_tags_out_of_order_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "v.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\none <00:09.000>two <00:01.500>three\n")
    (span,) = read_subtitles(str(tmp_path / "v.mp4"))
    assert (span.text, span.words) == ("one two three", ())
