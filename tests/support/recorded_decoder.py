"""Record the decoder's results once and replay them, for tests that run a step over the same videos many times."""

import hashlib
import json
import pickle
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from rankvideo_rag.media import MediaLimits
from rankvideo_rag.media.ipc import DecoderResult
from rankvideo_rag.media.sandbox import run_in_decoder


class RecordedDecoder:
    """Results of the real decoder, by function, arguments and the content of the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._results: dict[str, DecoderResult] = {}
        for name in ("audio", "frames", "probe", "subtitles"):
            module = import_module(f"rankvideo_rag.media.{name}")
            assert "run_in_decoder" in vars(module)
            vars(module)["run_in_decoder"] = self._run

    def _run(self, function: str, limits: MediaLimits, **arguments: Any) -> DecoderResult:
        path = arguments.get("path")
        content = hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
        key = json.dumps([function, content, arguments | {"path": ""}], sort_keys=True)
        if key not in self._results:
            self._results[key] = run_in_decoder(function, limits, **arguments)
        return deepcopy(self._results[key])

    def saving(self, step: Callable[[], object]) -> Callable[[], None]:
        """Return the step followed by saving all results for later processes."""

        def step_and_save() -> None:
            step()
            self._file.write_bytes(pickle.dumps(self._results))

        return step_and_save

    def load(self) -> None:
        """Load the results that earlier processes saved."""
        self._results = pickle.loads(self._file.read_bytes())
