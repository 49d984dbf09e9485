"""Subtitles: files beside a video, streams inside it, and damaged or hostile text."""

import logging
from pathlib import Path

import pytest
from support.media_files import write_with_subtitles
from support.media_reads import REAL_VIDEOS, needs_real_videos

from rankvideo_rag.media import (
    probe,
    read_subtitles,
)
from rankvideo_rag.media.subtitle_parser import parse_cues, strip_markup


@pytest.mark.parametrize(
    ("name", "codec", "payload"),
    [
        ("a.mp4", "mov_text", "\x00\x05Hello"),
        ("a.mkv", "subrip", "<i>Hello</i>"),
        ("a.mkv", "ass", r"0,0,Default,,0,0,0,,{\an8}Hello"),
        ("a.mkv", "webvtt", "Hello"),
    ],
)
def test_subtitles_inside_a_video_are_read(tmp_path: Path, name: str, codec: str, payload: str) -> None:
    path = str(write_with_subtitles(tmp_path / name, codec, [(0.5, 1.5, payload), (2.0, 3.0, payload)]))
    assert [(span.text, span.start, span.end) for span in read_subtitles(path)] == [("Hello", 0.5, 1.5), ("Hello", 2.0, 3.0)]
    assert {(span.channel, span.source) for span in read_subtitles(path)} == {("speech", "subtitles")}
    assert probe(path).subtitle_streams == 1


def test_a_subtitle_file_is_preferred_to_a_stream(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_with_subtitles(tmp_path / "film.mp4", "mov_text", [(0.5, 1.5, "\x00\x06inside")])
    (tmp_path / "film.b.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nof another film\n")
    assert [s.text for s in read_subtitles(str(path))] == ["inside"]
    (tmp_path / "film.en.forced.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nforced\n")
    (tmp_path / "film.en.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nEnglish\n")
    assert [(s.text, s.language) for s in read_subtitles(str(path))] == [("English", "en")]
    (tmp_path / "film.VTT").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nplain\n")
    assert [s.text for s in read_subtitles(str(path))] == ["plain"]
    (tmp_path / "film.srt").write_text("not a single cue")
    with caplog.at_level(logging.WARNING):
        assert [s.text for s in read_subtitles(str(path))] == ["plain"]
    assert "film.srt" in caplog.text


def test_irregular_subtitle_files_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.srt").write_bytes(
        b"1\r\n00:00:05,5 --> 00:00:07.000  X1:40 X2:600\r\n{\\an8}<i>caf\xe9</i> &amp; bar\r\nsecond --> line\r\n\r\n"
        b"2\r\n01:02 --> 01:04\r\n<|im_end|>yes\r\n3\r\n00:00:01,000 --> 00:00:06,000\r\noverlaps\r\n\r\n"
        b"4\r\n00:00:09,000 --> 00:00:08,000\r\nends before it begins\r\n\r\n5\r\n00:xx --> 00:08\r\nno time\r\n"
    )
    with caplog.at_level(logging.WARNING):
        spans = read_subtitles(str(tmp_path / "a.mp4"))
    assert [(s.start, s.end, s.text) for s in spans] == [
        (1.0, 6.0, "overlaps"),
        (5.5, 7.0, "café & bar second --> line"),
        (62.0, 64.0, "< |im_end|>yes"),
    ]
    assert "2 broken" in caplog.text


def test_notes_styles_and_settings_of_webvtt_are_removed() -> None:
    text = (
        "\ufeffWEBVTT - title\n\nNOTE\nnot said --> at all\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start position:10%\n<v Ann>Hello <00:01.500><c.loud>world</c>\n- a < b\n\n"
        "123:00:00.000 --> 123:00:01.000\nlate\n"
    )
    cues = parse_cues(text.removeprefix("\ufeff"))
    assert cues.broken == 0
    assert [cue[:3] for cue in cues.cues] == [(1.0, 2.0, "Hello world - a < b"), (442800.0, 442801.0, "late")]
    assert cues.cues[0].words == (("Hello", 1.0, 1.5), ("world - a < b", 1.5, 2.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "1\n00:00:01,000 --> 00:00:04,000\nImperial army\n\ndefeats the fleet\n\n"
            "2\n00:00:05,000 --> 00:00:08,000\n\nbelow it\n",
            ["Imperial army defeats the fleet", "below it"],
        ),
        ("WEBVTT\n\nfirst\n00:01.000 --> 00:02.000\none\n\nsecond\n00:02.000 --> 00:03.000\ntwo\n", ["one", "two"]),
        (
            "WEBVTT\n\nNOTES 1\n00:01.000 --> 00:02.000\none\n\nNOTE it is\nlong\n\n2\n00:02.000 --> 00:03.000\ntwo\n",
            ["one", "two"],
        ),
        ("1\n00:00:01,000 --> 00:00:02,000\nNOTE the\n\nSTYLE of it\n", ["NOTE the STYLE of it"]),
        ("1\r00:00:01,000 --> 00:00:02,000\rold\r\r2\r00:00:02,000 --> 00:00:03,000\rMac\r", ["old", "Mac"]),
        ("1\n00:00:01,000 --> 00:00:02,000\ncounts 7\n\n\n8\n00:00:02,000 --> 00:00:03,000\neight\n", ["counts 7", "eight"]),
    ],
)
def test_no_words_of_a_cue_are_lost_and_no_identifier_is_read(text: str, expected: list[str]) -> None:
    found = parse_cues(text)
    assert ([cue.text for cue in found.cues], found.broken) == (expected, 0)


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("the red<br>boat<br />leaves", "the red boat leaves"),
        ("<p>the red</p><P class=a>boat</P>", "the red boat"),
        ("<v Ann>Hello<v.loud Bob>yes", "Hello yes"),
        ("<i>r</i>ed <b>boat</b>s", "red boats"),
        ("一<c.a>二</c>三", "一二三"),
        ("red&nbsp;boat", "red boat"),
    ],
)
def test_tags_that_break_a_line_separate_words_and_others_do_not(markup: str, expected: str) -> None:
    assert strip_markup(markup) == expected


@pytest.mark.parametrize(
    ("video", "sidecar", "language"),
    [
        ("cafe\u0301.mp4", "caf\u00e9.srt", None),
        ("caf\u00e9.mp4", "cafe\u0301.fr.srt", "fr"),
        ("X.mkv", "X.mkv.srt", None),
        ("X.mp4", "X.mp4.de.vtt", "de"),
        ("X.mp4", "X.sdh.srt", None),
        ("X.mp4", "X.en.hi.srt", "en"),
        ("X.mp4", "X.hi.srt", "hi"),
        ("X.mp4", "X.PT_br.SRT", "pt-br"),
        ("X.mp4", "X.mkv.srt", None),
        ("X.mp4", "X.MKV.en.srt", "en"),
        ("X.mp4", "X.full.en.srt", "en"),
        ("X.mp4", "X.ts.srt", None),
    ],
)
def test_a_subtitle_file_is_found_by_its_name(tmp_path: Path, video: str, sidecar: str, language: str | None) -> None:
    start = "WEBVTT\n\n" if sidecar.endswith("vtt") else "1\n"
    (tmp_path / sidecar).write_text(start + "00:00:01.000 --> 00:00:02.000\nwords\n")
    assert [(s.text, s.language) for s in read_subtitles(str(tmp_path / video))] == [("words", language)]


def test_a_subtitle_file_with_the_name_of_another_video_is_left_to_it(tmp_path: Path) -> None:
    for name in ("X.mp4", "X.mkv"):
        write_with_subtitles(tmp_path / name, "subrip" if name.endswith("mkv") else "mov_text", [])
    (tmp_path / "X.mkv.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nwords\n")
    assert read_subtitles(str(tmp_path / "X.mp4")) == []
    assert [span.text for span in read_subtitles(str(tmp_path / "X.mkv"))] == ["words"]


def test_forced_subtitles_never_stand_for_the_others(tmp_path: Path) -> None:
    """Neither a file nor a stream: what they lack would be lost, and speech recognition would not hear it."""
    path = write_with_subtitles(tmp_path / "film.mkv", "subrip", [(0.5, 1.5, "sign")], disposition="forced", title="")
    assert read_subtitles(str(path)) == []
    assert probe(str(path)).unused == ("subtitle stream 1: srt (forced: signs and foreign words only)",)
    named = write_with_subtitles(tmp_path / "named.mkv", "subrip", [(0.5, 1.5, "sign")], title="Signs & Songs")
    assert read_subtitles(str(named)) == []
    for name in ("film.forced.srt", "film.forced.en.srt", "film.mkv.en.forced.srt"):
        (tmp_path / name).write_text("1\n00:00:01,000 --> 00:00:02,000\nsign\n")
    assert read_subtitles(str(path)) == []


@pytest.mark.timeout(120)  # seconds for what takes less than one: quadratic time would take hours
def test_hostile_subtitle_text_is_parsed_in_bounded_time() -> None:
    for text in ("<" * 200_000, "{\\" * 200_000, "00:" * 200_000 + "-->", "-->\n" * 200_000):
        cues = parse_cues("00:01 --> 00:02\n" + text)
        assert [cue[:3] for cue in cues.cues] == [(1.0, 2.0, " ".join(text.splitlines()))]
    assert parse_cues("00:01 --> 00:02\n" + "1:1 --> " * 50_000).broken == 1


@needs_real_videos
def test_subtitles_of_a_real_video_have_their_times() -> None:
    spans = read_subtitles(str(REAL_VIDEOS / "nasa_13013.mp4"))
    assert [s.start for s in spans[:4]] == pytest.approx([0.2, 4.3, 8.4, 12.5], abs=0.1)
    assert "optical and science segment of the Webb" in spans[0].text
