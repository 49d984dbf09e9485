"""A chat endpoint on loopback that misbehaves as told. It answers like vLLM: models, tokenize and chat completions.

Log-probabilities of labels follow from the prompt's own text ("margin 1.5"), so that a test knows them without a model.
"""

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = Any
Misbehave = Callable[["Handler", Json], bool]
"""Gets the request's handler and its JSON; True where it has answered, in its own way."""

# The spellings of yes and no that are single tokens in this vocabulary.
VOCABULARY = {"yes": 1, " yes": 2, "Yes": 3, "no": 11, " no": 12, "NO": 13, "<|vision_start|>": 90, "<|video_pad|>": 91}
SPREAD = {1: 0.5, 2: 0.3, 3: 0.2, 11: 0.6, 12: 0.3, 13: 0.1}  # shares of a label's probability


def logprobs(margin: float) -> dict[int, float]:
    """Token id -> log-probability; yes and no together have 0.9, and logp(yes) - logp(no) is the margin."""
    yes = 0.9 / (1 + math.exp(-margin))
    return {token: math.log((yes if token < 10 else 0.9 - yes) * share) for token, share in SPREAD.items()}


def completion(request: Json, *, margin: float | None = None) -> Json:
    """A whole, correct reply."""
    said = json.dumps(request["messages"])
    found = re.search(r"margin (-?\d+(?:\.\d+)?)", said)
    given = logprobs(float(found[1]) if margin is None and found else margin or 0.0)
    top = [{"token": f"token_id:{token}", "logprob": value, "bytes": None} for token, value in given.items()]
    if "logprob_token_ids" not in request:
        names = {token: text for text, token in VOCABULARY.items()}
        top = [{"token": names[token], "logprob": value} for token, value in given.items()]
    return {
        "id": "chatcmpl-" + request.get("request_id", "other"),
        "object": "chat.completion",
        "created": 1,
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "yes"},
                "logprobs": {"content": [{"token": "token_id:1", "logprob": -0.5, "top_logprobs": top}]},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: "Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go out apart: with it, each reply would take 40 ms

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.answer({"data": [{"id": "tiny", "owned_by": self.server.owner}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/tokenize":
            text = request.get("prompt")
            self.answer(
                {"tokens": self._rendered(request) if text is None else [VOCABULARY[text]] if text in VOCABULARY else [7, 8]}
            )
            return
        with self.server.lock:
            self.server.requests.append(request)
            self.server.moments.append(time.monotonic())
        if not self.server.misbehave(self, request):
            self.answer(completion(request))

    def _rendered(self, request: Json) -> list[int]:
        outer = [] if "chat_template" in request or not self.server.doubles_marks else [VOCABULARY["<|vision_start|>"]]
        return [5, *outer, 90, 91, 91, 92, 6]

    def answer(self, body: Json, *, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        """Send a body: JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """What it was asked stands in `requests`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, misbehave: Misbehave, *, owner: str = "vllm", doubles_marks: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.misbehave = misbehave
        self.owner = owner
        self.doubles_marks = doubles_marks
        self.lock = threading.Lock()
        self.requests: list[Json] = []
        self.moments: list[float] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1#tiny"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what these tests are about."""


@contextmanager
def serving(misbehave: Misbehave = lambda handler, request: False, **options: Any) -> Iterator[Server]:
    """A server that runs while the context is open."""
    server = Server(misbehave, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
