"""The HTTP API of an archive. The same LlamaIndex objects answer here as on the command line, and the same JSON comes out."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
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
from rankvideo_rag.server.guard import Guard, Json, Turns
from rankvideo_rag.server.page import load_page
from rankvideo_rag.server.video_file import video_response
from rankvideo_rag.text import clean

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
MAX_BODY = 64 * 1024  # bytes
BODY_SECONDS = 10.0
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
    """The archive as an ASGI app.

    Args:
        archive: an open archive; closing it stays with the caller.
        hosts: names by which clients may reach it beside those of this machine itself. A request for any other name is
            refused, so that no site can make a browser read the archive by pointing its own name here.
        llm: writes the answers; without one they are quoted.

    GET / is the page, POST /api/ask and /api/search take JSON, GET /api/archive describes, GET /video/{video_id} plays.
    """
    if wild := [host for host in hosts if "*" in host]:
        raise InputError(f"the host {wild[0]!r} has a wildcard: name each host by which the archive may be reached")
    service = _Service(archive, llm)
    page = load_page()

    async def show_page(request: Request) -> Response:
        return Response(page.html, media_type="text/html", headers={"Cache-Control": "no-cache"})

    async def show_video(request: Request) -> Response:
        return await video_response(archive.store, request)

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/api/archive", service.describe),
            Route("/api/search", service.search, methods=["POST"]),
            Route("/api/ask", service.ask, methods=["POST"]),
            Route("/video/{video_id}", show_video),
        ],
        middleware=[
            Middleware(Guard, policy=page.policy),
            Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *map(_bracketed, hosts)], www_redirect=False),
        ],
        exception_handlers={InputError: _refused, HTTPException: _http_error},
    )


class _Service:
    """The three JSON endpoints. Models are loaded once, and one reranker and one retriever serve them all."""

    def __init__(self, archive: VideoArchive, llm: LLM | None) -> None:
        settings = archive.settings
        self._archive = archive
        self._rerank_depth = settings.rerank_depth
        self._reranker = archive.as_reranker(top_n=max(MAX_TOP, self._rerank_depth))
        self._engine = archive.as_query_engine(
            llm,
            top_k=max(MAX_TOP, self._rerank_depth),
            node_postprocessors=[
                _First(count=self._rerank_depth),
                *([self._reranker] if self._reranker else []),
                _First(count=settings.top_n),
            ],
        )
        self._searches = Turns(at_once=4, waiting=60)
        self._watchings = Turns(at_once=2, waiting=4)  # a vision-language model is at work in these

    async def ask(self, request: Request) -> Json:
        asked = await _body(request, AskRequest)
        async with self._watchings.take():
            response = await self._engine.aquery(clean(asked.question))
        answer = Answer.model_validate((response.metadata or {})["answer"])
        contract = to_json(answer, nodes_to_hits(response.source_nodes))
        return Json({**contract, "rerank": [_judgement(hit) for hit in response.source_nodes]})

    async def search(self, request: Request) -> Json:
        asked = await _body(request, SearchRequest)
        question = QueryBundle(clean(asked.question))
        if asked.rerank and self._reranker is None:
            raise InputError("this archive is served without a reranker: leave rerank out, or serve it with --reranker")
        async with (self._watchings if asked.rerank else self._searches).take():
            nodes = await self._engine.retriever.aretrieve(question)
            if asked.rerank and self._reranker:
                candidates = nodes[: max(asked.top, self._rerank_depth)]
                nodes = await self._reranker.apostprocess_nodes(candidates, query_bundle=question)
        return Json([hit.model_dump() for hit in nodes_to_hits(nodes[: asked.top])])

    async def describe(self, request: Request) -> Json:
        return Json(await run_in_threadpool(self._facts))

    def _facts(self) -> dict[str, Any]:
        store, settings = self._archive.store, self._archive.settings
        return {
            "title": store.folder.resolve().name,
            "seconds": sum(video.probe.duration for video in store.videos().values()),
            **store.counts(),
            "reranker": None if self._reranker is None else settings.reranker,
        }


class _First(BaseNodePostprocessor):
    """Keeps the first nodes, as many as the next step is to have."""

    count: int

    @classmethod
    def class_name(cls) -> str:
        return "First"

    def _postprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None) -> list[NodeWithScore]:
        return nodes[: self.count]


async def _body(request: Request, kind: type[RequestBody]) -> RequestBody:
    """The request's JSON. Raises HTTPException: 400 no JSON, 408 too slow, 413 too long, 415 another type, 422 not as asked."""
    # A page of another site may send text without asking; for JSON its browser must ask first, and is not allowed to.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON, with Content-Type: application/json.")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            data = await _limited(request)
    except TimeoutError as error:
        raise HTTPException(408, f"The request did not arrive within {BODY_SECONDS:.0f} seconds.") from error
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        broken = any(fault["type"] == "json_invalid" for fault in faults)
        words = "; ".join(": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in faults)
        raise HTTPException(400 if broken else 422, words) from error


async def _limited(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise HTTPException(413, f"The request is too long: at most {MAX_BODY:,} bytes are read.")
    return bytes(data)


def _judgement(hit: NodeWithScore) -> dict[str, str | float | None] | None:
    """What the reranker said of a clip, as status, reason and p_yes; None when it did not see it."""
    status = hit.node.metadata.get("rerank_status")
    if status is None:
        return None
    word, _, reason = status.partition(": ")
    return {"status": word, "reason": reason or None, "p_yes": hit.node.metadata.get("rerank_p_yes")}


def _bracketed(host: str) -> str:
    """A host as it stands in a request: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


async def _refused(request: Request, error: Exception) -> Json:
    return Json({"error": str(error)}, 422)


async def _http_error(request: Request, error: Exception) -> Json:
    assert isinstance(error, HTTPException)
    return Json({"error": error.detail}, error.status_code, error.headers)
