"""Host names, security headers and the web page."""

import re

import httpx
import pytest
from support.server import IndexedArchive, client_of
from support.world import World

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError
from rankvideo_rag.server import create_app


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("archive.lan:8000", 200),
        ("[fd00::1]:8000", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("evil.example:8000#localhost", 400),
        ("archive.lan@evil.example", 400),
        ("0.0.0.0", 400),
        ("", 400),
    ],
)
async def test_only_known_host_names_are_accepted(world: World, host: str, status: int) -> None:
    with VideoArchive.open(world.archive) as archive:
        async with client_of(archive, hosts=["archive.lan", "fd00::1"]) as client:
            for method, address in (("GET", "/"), ("GET", "/api/archive"), ("POST", "/api/search")):
                json_body = {"question": "red"} if method == "POST" else None
                reply = await client.request(method, address, json=json_body, headers={"Host": host})
                assert reply.status_code == status
                assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_a_wildcard_host_is_rejected(world: World) -> None:
    with VideoArchive.open(world.archive) as archive, pytest.raises(InputError, match="wildcard"):
        create_app(archive, hosts=["*"])


async def test_every_response_has_security_headers(indexed: IndexedArchive) -> None:
    origin = {"Origin": "http://evil.example"}
    async with indexed.client() as client:
        replies = [
            await client.get("/", headers=origin),
            await client.get("/api/archive", headers=origin),
            await client.get(indexed.address, headers=origin),
            await client.get("/nowhere", headers=origin),
            await client.post("/api/ask", json={"question": ""}, headers=origin),
            await client.delete("/", headers=origin),
        ]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 404, 422, 405]
    for reply in replies:
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'self'; script-src 'sha256-")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not any(name.startswith("access-control") for name in reply.headers)


async def test_the_page_loads_nothing_and_inserts_only_text(client: httpx.AsyncClient) -> None:
    html = (await client.get("/")).text
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"]*", html)) - {"http://www.w3.org/2000/svg"}
    assert addresses == set()
    assert re.findall(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", html) == []
    assert re.findall(r"<(?:link|script|img|iframe)[^>]+(?:src|href)=['\"](?!data:)", html) == []
    assert re.findall(r"<[^>]+\s(?:style|on\w+)=", html) == []
