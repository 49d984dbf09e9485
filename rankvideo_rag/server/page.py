"""The one page, and the policy that lets a browser run exactly the script and the style that stand in it."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import NamedTuple


class Page(NamedTuple):
    """The page as it is sent."""

    html: bytes
    policy: str  # value of the header Content-Security-Policy


def load_page() -> Page:
    """Read page.html and derive its policy: nothing but itself, from nowhere but here."""
    html = files("rankvideo_rag.server").joinpath("page.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'self'; script-src {_hashes(html, 'script')}; style-src {_hashes(html, 'style')}; img-src data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _hashes(html: str, element: str) -> str:
    bodies = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in bodies)
