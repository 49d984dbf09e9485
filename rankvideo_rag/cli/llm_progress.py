"""Show on standard error that a language model is waited for, and how much it has written."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rankvideo_rag.cli.console import err, note

_STARTS = (LLMChatStartEvent, LLMCompletionStartEvent)
_PARTS = (LLMChatInProgressEvent, LLMCompletionInProgressEvent)


@contextmanager
def llm_progress(name: str) -> Iterator[None]:
    """Report calls of language models in the block: by a status line, or by a note where there is no terminal."""
    root = get_dispatcher()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        handler = _Handler(name, bars)
        root.add_event_handler(handler)
        try:
            yield
        finally:
            root.event_handlers.remove(handler)


class _Handler(BaseEventHandler):
    _name: str = PrivateAttr()
    _bars: Progress = PrivateAttr()
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _task: Any = PrivateAttr(None)
    _parts: int = PrivateAttr(0)

    def __init__(self, name: str, bars: Progress) -> None:
        super().__init__()
        self._name, self._bars = name, bars

    @classmethod
    def class_name(cls) -> str:
        return "LLMProgress"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Update the status line."""
        with self._lock:
            if isinstance(event, _STARTS):
                self._start()
            elif isinstance(event, _PARTS) and self._task is not None:
                self._parts += 1
                self._bars.update(self._task, description=f"{self._name} writes: {self._parts} tokens")

    def _start(self) -> None:
        if not err.is_terminal:
            note(f"waiting for {self._name}")
        elif self._task is None:
            self._task = self._bars.add_task(f"waiting for {self._name}")
