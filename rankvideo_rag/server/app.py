"""The HTTP API of an archive. It uses the same LlamaIndex components as the command line and returns the same JSON."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from llama_index.core.llms import LLM
from llama_index.core.schema import NodeWithScore, QueryBundle
from pydantic import Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.schema import Answer, Record, to_json
from rankvideo_rag.server.middleware import AsciiJsonResponse, ConcurrencyLimit, SecurityMiddleware
from rankvideo_rag.server.page import load_page
from rankvideo_rag.server.video_file import video_response
from rankvideo_rag.synthesizer import ANSWER_KEY
from rankvideo_rag.text import clean

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
MAX_BODY = 64 * 1024  # bytes
BODY_TIMEOUT = 10.0  # seconds
MAX_TOP = 50  # clips in a search result

RequestBody = TypeVar("RequestBody", bound=Record)


class AskRequest(Record):
    """The body of POST /api/ask."""

    question: str


class SearchRequest(Record):
    """The body of POST /api/search."""

    question: str
    top: int = Field(10, ge=1, le=MAX_TOP)
    rerank: bool = False


def create_app(archive: VideoArchive, *, hosts: Sequence[str] = (), llm: LLM | None = None) -> Starlette:
    """Return an ASGI app that serves the archive.

    Args:
        archive: an open archive; the caller closes it.
        hosts: host names of this server besides localhost. Requests for other names are rejected, which prevents DNS rebinding.
        llm: writes the answers; None: the archive is quoted.

    GET / is the web page, POST /api/ask and /api/search take JSON, GET /api/archive describes the archive, and
    GET /video/{video_id} sends a video. Raises InputError for a host with a wildcard.
    """
    if wildcards := [host for host in hosts if "*" in host]:
        raise InputError(f"the host {wildcards[0]!r} has a wildcard: name each host of this server")
    api, page = _Api(archive, llm), load_page()

    async def show_page(request: Request) -> Response:
        return Response(page.html, media_type="text/html", headers={"Cache-Control": "no-cache"})

    async def show_video(request: Request) -> Response:
        return await video_response(archive.store, request)

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/api/archive", api.describe),
            Route("/api/search", api.search, methods=["POST"]),
            Route("/api/ask", api.ask, methods=["POST"]),
            Route("/video/{video_id}", show_video),
        ],
        middleware=[
            Middleware(SecurityMiddleware, policy=page.policy),
            Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *map(_host_header, hosts)], www_redirect=False),
        ],
        exception_handlers={InputError: _input_error, HTTPException: _http_error},
    )


class _Api:
    """The JSON endpoints. They share one reranker, so that its model is loaded once."""

    def __init__(self, archive: VideoArchive, llm: LLM | None) -> None:
        self._archive = archive
        self._depth = archive.settings.rerank_depth
        self._retriever = archive.as_retriever(top_k=max(MAX_TOP, self._depth))
        self._reranker = archive.as_reranker(top_n=max(MAX_TOP, self._depth))
        self._engine = archive.as_query_engine(llm, node_postprocessors=[self._reranker] if self._reranker else [])
        self._search_limit = ConcurrencyLimit(running=4, waiting=60)
        self._rerank_limit = ConcurrencyLimit(running=2, waiting=4)  # these run a vision-language model

    async def ask(self, request: Request) -> Response:
        body = await _read_body(request, AskRequest)
        question = QueryBundle(clean(body.question))
        async with self._rerank_limit.acquire():
            nodes = (await self._engine.aretrieve(question))[: self._archive.settings.top_n]
            response = await self._engine.asynthesize(question, nodes)
        answer = Answer.model_validate((response.metadata or {})[ANSWER_KEY])
        return AsciiJsonResponse({**to_json(answer, nodes_to_hits(nodes)), "rerank": [_rerank_result(hit) for hit in nodes]})

    async def search(self, request: Request) -> Response:
        body = await _read_body(request, SearchRequest)
        question = QueryBundle(clean(body.question))
        if body.rerank and self._reranker is None:
            raise InputError("this archive is served without a reranker: omit rerank, or serve it with --reranker")
        async with (self._rerank_limit if body.rerank else self._search_limit).acquire():
            nodes = await self._retriever.aretrieve(question)
            if body.rerank and self._reranker:
                candidates = nodes[: max(body.top, self._depth)]
                nodes = await self._reranker.apostprocess_nodes(candidates, query_bundle=question)
        return AsciiJsonResponse([hit.model_dump() for hit in nodes_to_hits(nodes[: body.top])])

    async def describe(self, request: Request) -> Response:
        return AsciiJsonResponse(await run_in_threadpool(self._description))

    def _description(self) -> dict[str, Any]:
        store = self._archive.store
        return {
            "title": store.folder.resolve().name,
            "seconds": sum(video.probe.duration for video in store.videos().values()),
            **store.counts(),
            "reranker": None if self._reranker is None else self._archive.settings.reranker,
        }


async def _read_body(request: Request, model: type[RequestBody]) -> RequestBody:
    """Parse the request's JSON.

    Raises HTTPException: 400 for invalid JSON, 408 after the timeout, 413 for a long body, 415 for another content type, and
    422 for invalid fields.
    """
    # Browsers send text to other sites without a preflight request; for JSON they make one, and it is rejected.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON, with Content-Type: application/json.")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_BODY:
                    raise HTTPException(413, f"The request is too long: the limit is {MAX_BODY:,} bytes.")
    except TimeoutError as error:
        raise HTTPException(408, f"The request did not arrive within {BODY_TIMEOUT:.0f} seconds.") from error
    try:
        return model.model_validate_json(bytes(data), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        is_json = all(fault["type"] != "json_invalid" for fault in faults)
        message = "; ".join(": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in faults)
        raise HTTPException(422 if is_json else 400, message) from error


def _rerank_result(hit: NodeWithScore) -> dict[str, str | float | None] | None:
    """Return the reranker's status, reason and p_yes for a clip; None if it was not reranked."""
    if "rerank_status" not in hit.node.metadata:
        return None
    status, _, reason = hit.node.metadata["rerank_status"].partition(": ")
    return {"status": status, "reason": reason or None, "p_yes": hit.node.metadata.get("rerank_p_yes")}


def _host_header(host: str) -> str:
    """Return a host as in the Host header: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


async def _input_error(request: Request, error: Exception) -> Response:
    return AsciiJsonResponse({"error": str(error)}, 422)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return AsciiJsonResponse({"error": error.detail}, error.status_code, error.headers)
