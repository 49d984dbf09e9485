"""rankvideo serve: a web page and a JSON API for an archive."""

import socket
from contextlib import suppress
from typing import Annotated, Any

import typer

from rankvideo_rag.cli.console import note, out, printable
from rankvideo_rag.cli.options import LLM_SETTINGS, SEARCH_SETTINGS, Archive, Llm, LlmUrl, load_llm, setting_options

SHUTDOWN_SECONDS = 5  # for running requests after Ctrl-C


@setting_options("min_margin", "min_probability", *LLM_SETTINGS, *SEARCH_SETTINGS)
def serve(
    archive: Archive,
    options: dict[str, Any],
    host: Annotated[str, typer.Option(help="Address to listen on; by default only this machine can connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another host name by which clients reach this machine; may be repeated.")
    ] = None,
    llm: Llm = None,
    llm_url: LlmUrl = None,
) -> None:
    """Serve a web page to ask an archive and play its clips, with a JSON API behind it."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.backends import import_optional

    create_app = import_optional("rankvideo_rag.server", "serve").create_app
    uvicorn = import_optional("uvicorn", "serve")
    with VideoArchive.open(archive, **options) as opened, _listen(host, port) as listening:
        app = create_app(opened, hosts=[host, *(allow_host or [])], llm=load_llm(llm, llm_url, opened.settings))
        _announce(str(archive), listening)
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, lifespan="off", timeout_graceful_shutdown=SHUTDOWN_SECONDS
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    from rankvideo_rag.errors import InputError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        message = f"cannot listen on {host} port {port}: {error.strerror}. Choose another with --host or --port"
        raise InputError(message) from error


def _announce(archive: str, listening: socket.socket) -> None:
    address, port = listening.getsockname()[:2]
    name = f"[{address}]" if ":" in address else address
    url = printable(f"http://{name}:{port}/")
    out.print(f"{printable(archive)} is served at [bold]{url}[/]  (Ctrl-C stops)", soft_wrap=True)
    if address not in ("127.0.0.1", "::1"):
        note("anyone who can reach this address can watch every video of the archive: there is no password")
