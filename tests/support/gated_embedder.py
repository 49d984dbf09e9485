"""The scripted embedder, controlled by files: a test decides when each clip is embedded.

In the folder that is its model's name, `open` allows all clips and `ticket-*` one clip, after which it is deleted;
`waiting-PID` means that a process waits, and `embedded` has a line for each embedded clip. A white frame ends the process.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from rankvideo_rag.media import ClipMedia
from rankvideo_rag.media.frames import Frames
from rankvideo_rag.models.embedders import EmbedderInfo, Vector
from rankvideo_rag.testing.scripted_embedder import ScriptedEmbedder


class GatedEmbedder(ScriptedEmbedder):
    """Embeds a clip when the test allows it."""

    info: EmbedderInfo

    def __init__(self, gate: Path) -> None:
        self._gate = gate
        self.info = ScriptedEmbedder.info.model_copy(update={"backend": "gated", "model": str(gate)})

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        for clip in clips:
            self._wait_for_permission(clip.frames)
        return super().embed_clips(clips)

    def _wait_for_permission(self, frames: Frames | None) -> None:
        if frames and frames.pixels.min() > 250:
            os._exit(1)
        waiting = self._gate / f"waiting-{os.getpid()}"
        while not (self._gate / "open").exists() and not self._take_ticket():
            waiting.touch()
            time.sleep(0.02)
        waiting.unlink(missing_ok=True)
        with open(self._gate / "embedded", "ab", buffering=0) as log:
            log.write(b"%d\n" % os.getpid())

    def _take_ticket(self) -> bool:
        for ticket in self._gate.glob("ticket-*"):
            try:
                ticket.unlink()
            except FileNotFoundError:
                continue  # another process took it
            return True
        return False


def load(model: str, *, device: str | None = None) -> GatedEmbedder:
    """Return an embedder that is controlled by the files of a folder."""
    return GatedEmbedder(Path(model))
