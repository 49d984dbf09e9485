"""Sound videos in awkward places: links, names, twins, rights. Each function fills one folder."""

import os
import shutil
from pathlib import Path

import av

from support.bad_media.kinds import film

ELSEWHERE = "elsewhere"  # beside the folder that is indexed: nothing in it was asked for
PATH_MAX = 4096  # bytes that Linux takes, with the zero at the end


def links_to_nothing(folder: Path) -> None:
    (folder / "nowhere.mp4").symlink_to("gone.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")


def links_out(folder: Path) -> None:
    outside = folder.parents[1] / ELSEWHERE
    outside.mkdir()
    film(outside / "private.mp4", of=1)
    film(folder / "inside.mp4", of=53)
    (folder / "link.mp4").symlink_to("inside.mp4")
    (folder / "file.mp4").symlink_to(outside / "private.mp4")
    (folder / "folder").symlink_to(outside)
    (folder / "cycle").symlink_to(".")


def same_content(folder: Path) -> None:
    film(folder / "a.mp4", of=54)
    os.link(folder / "a.mp4", folder / "hard.mp4")
    shutil.copy(folder / "a.mp4", folder / "copy.mp4")


def same_name(folder: Path) -> None:
    for place, seconds in (("a", 2), ("b", 3)):
        (folder / place).mkdir()
        film(folder / place / "x.mp4", seconds, of=55)


def same_film_in_another_container(folder: Path) -> None:
    film(folder / "a.mp4", of=56)
    with av.open(str(folder / "a.mp4")) as source, av.open(str(folder / "a.mkv"), "w") as sink:
        copy = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                sink.mux(packet)


def name_that_is_no_text(folder: Path) -> None:
    film(folder / "plain.mp4", of=57).rename(folder / os.fsdecode(b"caf\xe9 \xff.mp4"))


ODD_NAMES = (
    "with space.mp4",
    "two\nlines.mp4",
    "\N{PARTY POPPER}.mp4",
    "\N{RIGHT-TO-LEFT OVERRIDE}4pm.mp4",
    "-i.mp4",
    "%03d.mp4",
    "'quote\" $(id) `id`; &.mp4",
    "file:http:x.mp4",
    "n" * 251 + ".mp4",
)


def odd_names(folder: Path) -> None:
    film(folder / "one.mp4", of=58)
    for name in ODD_NAMES:
        os.link(folder / "one.mp4", folder / name)
    (folder / "one.mp4").unlink()


TWINS = ("caf\N{LATIN SMALL LETTER E WITH ACUTE}.mp4", "cafe\N{COMBINING ACUTE ACCENT}.mp4")


def twins_and_a_path_without_end(folder: Path) -> None:
    for seconds, name in enumerate(TWINS, 2):
        film(folder / name, seconds, of=59)
    film(folder / "a.mp4", of=60)
    here = os.open(folder, os.O_RDONLY)
    length = len(os.fsencode(folder))
    name = "deep"
    while length + len(name) + 1 < PATH_MAX:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, length, name = below, length + len(name) + 1, "d" * 200
    os.rename(folder / "a.mp4", "d" * 200 + ".mp4", dst_dir_fd=here)
    os.close(here)


def forbidden(folder: Path) -> None:
    film(folder / "a.mp4").chmod(0)
    (folder / "locked").mkdir()
    film(folder / "locked" / "b.mp4")
    (folder / "locked").chmod(0)
