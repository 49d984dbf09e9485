"""The web page, and the Content-Security-Policy that allows only its own script and style."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import NamedTuple


class Page(NamedTuple):
    """The page as it is sent."""

    html: bytes
    policy: str  # value of the Content-Security-Policy header


def load_page() -> Page:
    """Read page.html and derive its policy."""
    html = files("rankvideo_rag.server").joinpath("page.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'self'; script-src {_hashes(html, 'script')}; style-src {_hashes(html, 'style')}; img-src data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _hashes(html: str, element: str) -> str:
    bodies = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in bodies)
