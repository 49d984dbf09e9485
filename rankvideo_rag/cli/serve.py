"""rankvideo serve: an archive as a web page and a JSON API."""

import socket
from contextlib import suppress
from typing import Annotated

import typer

from rankvideo_rag.cli.console import note, out, shown
from rankvideo_rag.cli.options import Archive, Device, Llm, LlmUrl, Profile, Reranker, RerankerModel, Vectors, load_llm

GOODBYE_SECONDS = 5  # that running requests get after Ctrl-C


def serve(
    archive: Archive,
    host: Annotated[str, typer.Option(help="Address to listen at; by default only this machine can connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 picks a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name by which clients reach this machine; may be repeated.", show_default=False),
    ] = None,
    llm: Llm = None,
    llm_url: LlmUrl = None,
    profile: Profile = None,
    reranker: Reranker = None,
    reranker_model: RerankerModel = None,
    device: Device = None,
    vectors: Vectors = None,
) -> None:
    """Serve a page to ask an archive and watch its clips, with a JSON API behind it."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.backends import import_optional

    create_app = import_optional("rankvideo_rag.server", "serve").create_app
    uvicorn = import_optional("uvicorn", "serve")
    options = {
        "profile": profile,
        "reranker": reranker,
        "reranker_model": reranker_model,
        "device": device,
        "vector_store": vectors,
    }
    with VideoArchive.open(archive, **options) as opened, _listen(host, port) as listening:
        app = create_app(opened, hosts=[host, *(allow_host or [])], llm=load_llm(llm, llm_url))
        _announce(str(archive), listening)
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, lifespan="off", timeout_graceful_shutdown=GOODBYE_SECONDS
        )
        with suppress(KeyboardInterrupt):  # Ctrl-C is how a server ends
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    from rankvideo_rag.errors import InputError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen at {host} port {port}: {error.strerror}. Choose another with --host or --port"
        ) from error


def _announce(archive: str, listening: socket.socket) -> None:
    address, port = listening.getsockname()[:2]
    name = f"[{address}]" if ":" in address else address
    out.print(f"{shown(archive)} is at [bold]{shown(f'http://{name}:{port}/')}[/]  (Ctrl-C stops)", soft_wrap=True)
    if address not in ("127.0.0.1", "::1"):
        note("everybody who can reach this address can watch every video of the archive: there is no password")
