"""A chat server on loopback that reports its models as vLLM, llama.cpp or Ollama does, and answers at a chosen speed."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Literal

Kind = Literal["vllm", "llama.cpp", "ollama", "other"]


class LLMServer(ThreadingHTTPServer):
    """Answers every chat with `reply`.

    Args:
        reply: split into `parts` in a stream.
        kind: whose reports about models are imitated.
        context: context length in tokens that is reported.
        silence: seconds before the first part of a reply, and `pause` before each further one.
        status: of the reply to a chat.
    """

    daemon_threads = True

    def __init__(
        self,
        reply: str = "It leaves at nine [1].",
        *,
        kind: Kind = "vllm",
        context: int = 8192,
        silence: float = 0.0,
        pause: float = 0.0,
        status: int = 200,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply, self.kind, self.context = reply, kind, context
        self.silence, self.pause, self.status = silence, pause, status
        self.chats: list[dict[str, Any]] = []
        self.lock = Lock()
        self.stopping = Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def models(self) -> list[dict[str, Any]]:
        model: dict[str, Any] = {"id": "tiny", "object": "model", "created": 1}
        match self.kind:
            case "vllm":
                model |= {"owned_by": "vllm", "max_model_len": self.context}
            case "llama.cpp":
                model |= {"owned_by": "llamacpp", "meta": {"n_vocab": 32000, "n_ctx": 2 * self.context, "n_ctx_train": 131072}}
            case "ollama":
                model |= {"owned_by": "library"}
        return [model]

    def report(self, path: str) -> Any:
        """Return what the server says at this path; None: there is nothing."""
        match self.kind, path:
            case _, "/v1/models":
                return {"object": "list", "data": self.models()}
            case "llama.cpp", "/props":
                return {"default_generation_settings": {"id": 0, "n_ctx": self.context}, "total_slots": 1}
            case "ollama", "/api/ps":
                return {"models": [{"name": "other", "context_length": 512}]}
            case "ollama", "/api/show":
                return {
                    "parameters": f"keep 1\nnum_ctx    {self.context}",
                    "model_info": {"llama.context_length": 131072},
                }
        return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that no longer waits is expected."""


class _Handler(BaseHTTPRequestHandler):
    server: LLMServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._send_report()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/chat/completions":
            self._send_report()
            return
        with self.server.lock:
            self.server.chats.append(body)
        if self.server.status != 200:
            self._send_json({"error": {"message": "the prompt has 9000 tokens, the context 8192"}}, self.server.status)
        elif body.get("stream"):
            self._send_stream([word + " " for word in self.server.reply.split(" ")])
        else:
            self.server.stopping.wait(self.server.silence)
            message = {"role": "assistant", "content": self.server.reply}
            self._send_json(_completion({"message": message, "finish_reason": "stop"}, "chat.completion"))

    def _send_report(self) -> None:
        report = self.server.report(self.path)
        self._send_json({"error": "not found"} if report is None else report, 404 if report is None else 200)

    def _send_json(self, body: Any, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_stream(self, parts: Sequence[str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for number, part in enumerate(parts):
            self.server.stopping.wait(self.server.pause if number else self.server.silence)
            self._send_event(json.dumps(_completion({"delta": {"content": part}}, "chat.completion.chunk")))
        self._send_event("[DONE]")

    def _send_event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()


def _completion(choice: dict[str, Any], kind: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": None} | choice
    return {"id": "chat-1", "object": kind, "created": int(time.time()), "model": "tiny", "choices": [choice]}


@contextmanager
def serving(*arguments: Any, **options: Any) -> Iterator[LLMServer]:
    """Run an `LLMServer` in the block."""
    server = LLMServer(*arguments, **options)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
