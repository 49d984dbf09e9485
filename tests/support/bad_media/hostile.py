"""Files that mean harm: they name other files and hosts, bring codecs that nobody films in, or are no files. Each function
fills one folder."""

import os
from pathlib import Path

from support.bad_media.kinds import film

BAIT = "bait.bin"  # beside the playlists: a real video that nothing may open


def playlist_of_a_file(folder: Path) -> None:
    bait = film(folder / BAIT, container_format="mpegts")
    (folder / "a.mp4").write_text(_hls(bait.as_uri()))


def playlists_of_a_host(folder: Path, *, port: int) -> None:
    url = f"http://127.0.0.1:{port}/other.ts"
    (folder / "hls.mp4").write_text(_hls(url))
    (folder / "dash.mp4").write_text(
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation>'
        f"<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    (folder / "sdp.mp4").write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=control:{url}\n"
    )


def concatenation_of_a_sibling(folder: Path) -> None:
    film(folder / BAIT, container_format="mpegts")
    (folder / "a.mp4").write_text(f"ffconcat version 1.0\nfile {BAIT}\n")


def codecs_of_exploits(folder: Path) -> None:
    film(folder / "magicyuv.avi", codec="magicyuv")
    film(folder / "jpeg2000.mkv", codec="jpeg2000")
    film(folder / "ffv1.mkv", codec="ffv1")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "a.mp4")


def folder_called_mp4(folder: Path) -> None:
    (folder / "a.mp4").mkdir()
    film(folder / "a.mp4" / "inside.mp4", of=50)


def hole_of_a_tebibyte(folder: Path) -> None:
    with open(folder / "a.mp4", "wb") as file:
        file.truncate(1 << 40)


def _hls(url: str) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n"
