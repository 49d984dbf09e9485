"""HTML that foreign words cannot break out of: text becomes markup here and nowhere else, and is escaped when it does."""

from collections.abc import Sequence
from html import escape


class Html(str):
    """Markup, fit to stand in a page as it is."""

    __slots__ = ()


def element(name: str, *content: str, **attributes: str) -> Html:
    """An element. Content that is no Html is text, and escaped. An attribute's name loses its last underscore.

    >>> element("p", "a < b", element("b", "c"), class_="wide")
    '<p class="wide">a &lt; b<b>c</b></p>'
    """
    said = "".join(f' {attribute.rstrip("_")}="{escape(value)}"' for attribute, value in attributes.items())
    return Html(f"<{name}{said}>{joined(content)}</{name}>")


def joined(content: Sequence[str]) -> Html:
    """Pieces one after the other; those that are no Html are escaped."""
    return Html("".join(piece if isinstance(piece, Html) else escape(piece) for piece in content))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> Html:
    """A table. Its first `words` columns hold words, the others numbers."""
    head = element("tr", *(element("th", cell, scope="col", class_=_kind(i, words)) for i, cell in enumerate(header)))
    body = [element("tr", *(element("td", cell, class_=_kind(i, words)) for i, cell in enumerate(row))) for row in rows]
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="wide")


def _kind(column: int, words: int) -> str:
    return "word" if column < words else "number"
