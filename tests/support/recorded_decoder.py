"""The decoder's replies, recorded once and played back: for tests that run the same step over the same videos many times."""

import hashlib
import json
import pickle
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from rankvideo_rag.media import sandbox as fence
from rankvideo_rag.media.ipc import DecoderResult


class RecordedDecoder:
    """Replies of the real decoder, by what was asked of which bytes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._replies: dict[str, DecoderResult] = {}
        for name in ("audio", "frames", "probe", "subtitles"):
            vars(import_module(f"rankvideo_rag.media.{name}"))["call"] = self._call

    def _call(self, function: str, limits: fence.MediaLimits, **arguments: Any) -> DecoderResult:
        path = arguments.get("path")
        content = hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
        key = json.dumps([function, content, arguments | {"path": ""}], sort_keys=True)
        if key not in self._replies:
            self._replies[key] = fence.run_in_decoder(function, limits, **arguments)
        return deepcopy(self._replies[key])

    def keeping(self, step: Callable[[], object]) -> Callable[[], None]:
        """The step, and then what it was told is kept for later processes."""

        def stepping() -> None:
            step()
            self._file.write_bytes(pickle.dumps(self._replies))

        return stepping

    def recall(self) -> None:
        """What earlier processes were told."""
        self._replies = pickle.loads(self._file.read_bytes())
