"""The scripted embedder behind a gate that a test holds: each clip costs a ticket, and without one the process waits.

The gate is a folder. `open` in it lets everything through; `ticket-…` lets one clip through, and goes; `waiting-PID` says that
a process waits; `embedded` has a line for each clip that came through. A picture of pure white ends the process.
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
    """Embeds what comes through the gate."""

    info: EmbedderInfo

    def __init__(self, gate: Path) -> None:
        self._gate = gate
        self.info = ScriptedEmbedder.info.model_copy(update={"backend": "gated", "model": str(gate)})

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        for clip in clips:
            self._pass_through(clip.frames)
        return super().embed_clips(clips)

    def _pass_through(self, frames: Frames | None) -> None:
        if frames and frames.pixels.min() > 250:
            os._exit(1)
        waiting = self._gate / f"waiting-{os.getpid()}"
        while not (self._gate / "open").exists() and not self._takes_ticket():
            waiting.touch()
            time.sleep(0.02)
        waiting.unlink(missing_ok=True)
        with open(self._gate / "embedded", "ab", buffering=0) as log:
            log.write(b"%d\n" % os.getpid())

    def _takes_ticket(self) -> bool:
        for ticket in self._gate.glob("ticket-*"):
            try:
                ticket.unlink()
            except FileNotFoundError:
                continue  # another process took it
            return True
        return False


def load(model: str, *, device: str | None = None) -> GatedEmbedder:
    """The embedder behind the gate in that folder."""
    return GatedEmbedder(Path(model))
