"""What must become of each of the eighty inputs: one row each, in the order of the reference that lists them.

A row either makes files, and says of every path in its folder how indexing ends for it, or names the tests that hold it,
because it is no file that lies in a folder. `generate` makes all files of all rows.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from support.bad_media import damaged, hostile, kinds, places

DEEP = "deep/…"  # whatever the path without end is called

HALF_A_DAY = float(kinds.HALF_A_DAY)


class Ends(NamedTuple):
    """How indexing ends for one path."""

    outcome: str
    code: str | None = None  # of the reason; None where there is none
    seconds: float | None = None  # of the video; None where it has none, or the row is not about time
    says: str = ""  # stands in the reason


class Row(NamedTuple):
    """One line of the reference."""

    number: int
    what: str
    make: Callable[[Path], None] | None = None  # fills a folder
    ends: dict[str, Ends] = {}  # noqa: RUF012 - never written
    tests: Sequence[str] = ()  # names of test functions


def ok(seconds: float | None = None, code: str | None = None, says: str = "") -> Ends:
    return Ends("ok", code, seconds, says)


def partly(code: str, seconds: float | None = None, says: str = "") -> Ends:
    return Ends("partial", code, seconds, says)


def skipped(code: str, says: str = "") -> Ends:
    return Ends("skipped", code, None, says)


def rows(port: int) -> list[Row]:
    """All eighty. Playlists that name a host name 127.0.0.1 at that port."""
    playlists = partial(hostile.playlists_of_a_host, port=port)
    return [
        Row(1, "zero bytes", damaged.no_bytes, {"a.mp4": skipped("empty")}),
        Row(2, "text named .mp4", damaged.text, {"a.mp4": skipped("not_media")}),
        Row(3, "random bytes", damaged.noise, {"a.mp4": skipped("not_media")}),
        Row(
            4,
            "mp4 cut before its index",
            damaged.cut_before_its_index,
            {"a.mp4": skipped("truncated_no_index", "moov atom not found")},
        ),
        Row(
            5,
            "mp4 cut in the middle, index first",
            damaged.cut_after_half_of_its_frames,
            {"a.mp4": partly("incomplete", 5.0, "5.0 of the declared 10.0 s are there (50%)")},
        ),
        Row(6, "mp4 with its index at the end", kinds.index_at_the_end, {"a.mp4": ok(2.0)}),
        Row(
            7,
            "sound only",
            kinds.audio_only,
            {"a.mp4": ok(3.0)},
            ["test_audio_only_files_are_skipped_on_request"],
        ),
        Row(8, "picture only", kinds.picture_only, {"a.mp4": ok(2.0)}),
        Row(9, "webm named .mp4", kinds.webm_called_mp4, {"a.mp4": ok(2.0)}),
        Row(10, "mp3 named .mp4", kinds.mp3_called_mp4, {"a.mp4": ok(3.0)}),
        Row(11, "mp3 with cover art", kinds.mp3_with_a_cover, {"a.mp3": ok(3.0)}),
        Row(12, "jpeg named .mp4", kinds.jpeg_called_mp4, {"a.mp4": skipped("still_image")}),
        Row(13, "animated GIF named .mp4", kinds.gif_called_mp4, {"a.mp4": ok(1.0)}),
        Row(
            14,
            "corrupt packets in the middle",
            damaged.noise_in_its_packets,
            {"a.mp4": partly("damaged", 10.0, "in 00:00-00:10")},
        ),
        Row(15, "damaged index", damaged.index_that_asks_for_all_memory, {"a.mp4": skipped("corrupt_header")}),
        Row(16, "variable frame rate", kinds.uneven_frames, {"a.mp4": ok(36.2)}),
        Row(17, "turned by 90 degrees", kinds.filmed_sideways, {"a.mp4": ok(2.0)}, [TURNED]),
        Row(18, "live webm without a duration", kinds.live_webm, {"a.webm": ok(2.0)}),
        Row(19, "piped mkv without a duration", kinds.piped_mkv, {"a.mkv": ok(2.0)}),
        Row(20, "bare h264", kinds.bare_h264, {"a.h264": skipped("no_timestamps")}),
        Row(21, "16000 x 16000 pixels", damaged.gigantic_picture, {"a.avi": skipped("too_large")}),
        Row(22, "picture that grows", damaged.picture_that_grows, {"a.ts": partly("damaged")}),
        Row(23, "picture larger than its header", damaged.picture_larger_than_its_header, {"a.avi": skipped("undecodable")}),
        Row(24, "one frame", kinds.one_frame, {"a.mp4": ok(0.04)}),
        Row(25, "2 x 2 pixels", kinds.two_by_two_pixels, {"a.mp4": ok(2.0)}),
        Row(26, "12 h at 1 fps", kinds.half_a_day_at_one_frame_a_second, {"a.mp4": ok(HALF_A_DAY)}),
        Row(27, "12 h of three frames", kinds.half_a_day_of_three_frames, {"a.mp4": ok(HALF_A_DAY + 1)}),
        Row(28, "100 frames in a millisecond", kinds.a_hundred_frames_in_a_millisecond, {"a.mp4": ok(0.0)}),
        Row(29, "AV1", kinds.av1, {"a.mp4": ok(2.0)}),
        Row(30, "HEVC in high dynamic range", kinds.hevc_in_high_dynamic_range, {"a.mp4": ok(2.0, "hdr", "smpte2084")}),
        Row(31, "ProRes", kinds.prores, {"a.mov": ok(2.0)}),
        Row(32, "H.264 4:4:4", kinds.h264_with_full_colour, {"a.mp4": ok(2.0)}),
        Row(33, "clock that begins at 95,001 s", kinds.clock_that_begins_late, {"a.ts": ok(2.0)}),
        Row(34, "times before zero", kinds.times_before_zero, {"a.mkv": ok(8.0)}),
        Row(35, "two video streams", kinds.two_pictures, {"a.mkv": ok(2.0)}, [LARGER]),
        Row(36, "cover before the video", kinds.cover_before_the_film, {"a.mp4": ok(2.0)}),
        Row(37, "subtitles inside", kinds.subtitles_inside, {"a.mp4": ok(5.0)}),
        Row(38, "sound of 30 s, picture of 3 s", kinds.sound_longer_than_picture, {"a.mp4": ok(30.0)}),
        Row(39, "silent sound track", kinds.silence, {"a.mp4": ok(2.0)}, [SILENCE]),
        Row(40, "interlaced, oblong pixels", kinds.interlaced_with_oblong_pixels, {"a.mpg": ok(2.0)}),
        Row(41, "encrypted", damaged.encrypted, {"a.mp4": skipped("encrypted")}),
        Row(42, "garbage behind", damaged.garbage_behind, {"a.mp4": ok(2.0)}),
        Row(43, "two mp4 in one file", damaged.two_files_in_one, {"a.mp4": ok(2.0, "trailing_data")}),
        Row(44, "garbage before", damaged.garbage_before, {"a.mp4": skipped("not_media")}),
        Row(45, "playlist of another file", hostile.playlist_of_a_file, {"a.mp4": skipped("playlist")}),
        Row(
            46,
            "playlists of a host",
            playlists,
            {name: skipped("playlist") for name in ("hls.mp4", "dash.mp4", "sdp.mp4")},
        ),
        Row(47, "concatenation of a sibling", hostile.concatenation_of_a_sibling, {"a.mp4": skipped("playlist")}),
        Row(
            48,
            "codecs that are not allowed",
            hostile.codecs_of_exploits,
            {name: skipped("codec_not_allowed") for name in ("magicyuv.avi", "jpeg2000.mkv", "ffv1.mkv")},
        ),
        Row(49, "FIFO", hostile.pipe, {"a.mp4": skipped("not_regular")}),
        Row(
            50,
            "folder named .mp4",
            hostile.folder_called_mp4,
            {"a.mp4": skipped("not_regular"), "a.mp4/inside.mp4": ok(2.0)},
        ),
        Row(51, "sparse file of 1 TiB", hostile.hole_of_a_tebibyte, {"a.mp4": skipped("not_media")}),
        Row(
            52,
            "links to nothing",
            places.links_to_nothing,
            {"nowhere.mp4": skipped("broken_link"), "loop.mp4": skipped("broken_link")},
        ),
        Row(
            53,
            "links out of the folder, and in a circle",
            places.links_out,
            {
                "inside.mp4": ok(2.0),
                "link.mp4": ok(2.0),
                "file.mp4": skipped("outside_root"),
                "folder": skipped("outside_root"),
            },
        ),
        Row(54, "same content", places.same_content, {name: ok(2.0) for name in ("a.mp4", "hard.mp4", "copy.mp4")}),
        Row(55, "same name in two folders", places.same_name, {"a/x.mp4": ok(2.0), "b/x.mp4": ok(3.0)}),
        Row(
            56,
            "same video in another container",
            places.same_film_in_another_container,
            {"a.mp4": ok(2.0), "a.mkv": ok(2.0)},
        ),
        Row(57, "name that is no UTF-8", places.name_that_is_no_text, {"caf\udce9 \udcff.mp4": ok(2.0)}),
        Row(58, "odd names", places.odd_names, {name: ok(2.0) for name in places.ODD_NAMES}),
        Row(
            59,
            "NFC and NFD twins, a path too long, 100,000 files",
            places.twins_and_a_path_without_end,
            {places.TWINS[0]: ok(2.0), places.TWINS[1]: ok(3.0), DEEP: skipped("path_too_long")},
            ["test_a_folder_of_a_hundred_thousand_files_is_listed_in_little_memory"],
        ),
        Row(
            60,
            "permission denied",
            places.forbidden,
            {"a.mp4": skipped("permission"), "locked": skipped("permission")},
        ),
        Row(61, "deleted while indexing", tests=["test_a_file_that_vanishes_after_listing_is_skipped"]),
        Row(62, "changed while indexing", tests=["test_a_file_that_grows_while_it_is_read_fails_and_is_retried"]),
        Row(
            63,
            "I/O error",
            tests=[
                "test_a_read_error_fails_one_file_only",
                "test_a_read_error_in_mid_file_fails_the_file_until_it_is_readable",
            ],
        ),
        Row(
            64,
            "disk full",
            tests=[
                "test_a_full_disk_is_reported_with_its_free_space_and_the_run_can_be_resumed",
                "test_a_full_disk_is_reported_and_committed_videos_stay",
            ],
        ),
        Row(65, "SIGKILL", tests=["test_a_killed_run_keeps_every_finished_video"]),
        Row(
            66,
            "two indexers",
            tests=[
                "test_a_second_writer_gets_an_error_that_names_the_first",
                "test_readers_are_not_blocked_by_a_writer",
            ],
        ),
        Row(
            67,
            "index of another model",
            tests=["test_an_archive_is_not_mixed_with_vectors_of_another_embedder"],
        ),
        Row(
            68,
            "damaged index file",
            tests=["test_a_damaged_vector_file_is_rebuilt_before_it_answers"],
        ),
        Row(69, "another version", tests=["test_an_archive_of_a_newer_format_is_refused"]),
        Row(
            70,
            "nothing to index",
            tests=[
                "test_an_empty_archive_returns_no_hits",
                "test_a_folder_without_media_is_an_error_that_names_the_suffixes",
            ],
        ),
        Row(
            71,
            "vectors that are no numbers",
            tests=[
                "test_vectors_that_cannot_be_compared_are_refused_before_they_are_written",
                "test_an_unusable_embedding_is_refused",
            ],
        ),
        Row(
            72,
            "odd questions",
            tests=[
                "test_an_empty_or_long_question_is_refused",
                "test_query_syntax_in_a_question_is_searched_as_text",
                "test_no_question_breaks_the_server",
            ],
        ),
        Row(
            73,
            "questions with control tokens",
            tests=[
                "test_control_tokens_are_broken_but_the_words_stay",
                "test_a_question_cannot_contain_control_tokens",
            ],
        ),
        Row(74, "injection", tests=["test_a_model_that_obeys_every_instruction_reaches_no_goal"]),
        Row(
            75,
            "reranking server that misbehaves",
            tests=["test_a_fault_ends_by_the_deadline_with_a_reason_and_no_number"],
        ),
        Row(
            76,
            "citations that do not hold",
            tests=["test_invalid_citations_are_removed_and_reported"],
        ),
        Row(
            77,
            "answers of any size and markup",
            tests=[
                "test_malformed_replies_of_any_size_give_no_answer",
                "test_the_page_loads_nothing_and_inserts_only_text",
            ],
        ),
        Row(
            78,
            "faulty runs and judgements",
            tests=[
                "test_a_faulty_line_of_a_run_is_refused_with_its_place",
                "test_a_faulty_line_of_qrels_is_refused_with_its_place",
            ],
        ),
        Row(79, "clock, locale, time zone", tests=[SAME]),
        Row(80, "few descriptors, little shared memory", tests=[SAME]),
    ]


def generate(folder: Path, *, port: int) -> list[Row]:
    """Make the files of all rows, those of each in a folder named by its number."""
    table = rows(port)
    for row in table:
        if row.make:
            place = folder / f"{row.number:02}"
            place.mkdir(parents=True)
            row.make(place)
    return table


TURNED = "test_rotated_video_is_turned_upright"
LARGER = "test_the_larger_of_two_video_streams_is_used"
SILENCE = "test_silence_gives_no_text_and_is_not_passed_to_the_model"
SAME = "test_good_files_are_unaffected_by_bad_neighbours_environment_and_few_descriptors"
