"""What models wrote, read strictly: what does not have the form that was asked for is unreadable, for a reason with a code.

Nothing is guessed from other words: the original takes "know" for a no. This file asks no model.
"""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.models.vlm import Generation
from rankvideo_rag.text import clean

_ANSWER = re.compile(r"<answer>\s*(yes|no)\s*(?:</answer>|\Z)", re.IGNORECASE)
_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)
_NUMBERED = re.compile(r"\s*\d+[.)]\s+(\S.*)")
_QUOTED = 120  # letters of an unreadable text that its reason repeats


class Unreadable(NamedTuple):
    """Why a text could not be used: "no_think: words"."""

    reason: str


class Thought(NamedTuple):
    """What stands between <think> and </think>, and after it."""

    text: str  # cleaned, never empty
    opened: bool  # the model wrote <think> itself; some chat templates have written it already
    rest: str


def thought(written: Generation, *, max_tokens: int) -> Thought | Unreadable:
    """The last <think>…</think> of a text: models that reason by themselves have one of their own before it.

    >>> thought(Generation("<think>A red disc.</think> <answer>no</answer>", 9), max_tokens=99)
    Thought(text='A red disc.', opened=True, rest=' <answer>no</answer>')
    """
    before, closed, rest = written.text.rpartition("</think>")
    if not closed:
        return _unreadable("no_think", "no <think>…</think> that is closed", written, max_tokens)
    _, opened, text = before.rpartition("<think>")
    inside = clean(text)
    return Thought(inside, bool(opened), rest) if inside else _unreadable("empty_think", "nothing thought", written, max_tokens)


def answer(text: str, written: Generation, *, max_tokens: int) -> int | Unreadable:
    """1 for <answer>yes</answer> in this part of what was written, 0 for no; the closing tag may be missing at the end."""
    found = {match.lower() for match in _ANSWER.findall(text)}
    if len(found) != 1:
        fault = "both yes and no" if found else "no yes or no between <answer> and </answer>"
        return _unreadable("no_answer", fault, written, max_tokens)
    return int(found == {"yes"})


def questions(written: Generation, *, most: int, max_tokens: int) -> list[str] | Unreadable:
    """The questions of a JSON list of strings, or of a numbered list, cleaned; at most so many.

    >>> questions(Generation('["Who sings?", "Where?"]', 9), most=2, max_tokens=99)
    ['Who sings?', 'Where?']
    >>> questions(Generation("1. Who sings?\\n2) Where?", 9), most=1, max_tokens=99)
    ['Who sings?']
    """
    text = written.text.rpartition("</think>")[2].strip()
    fenced = _FENCE.match(text)
    listed = _json_list(fenced[1] if fenced else text) or _numbered_list(text)
    cleaned = [question for question in map(clean, listed) if question]
    return cleaned[:most] or _unreadable(
        "no_questions", "neither a JSON list of strings nor a numbered list", written, max_tokens
    )


def _json_list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def _numbered_list(text: str) -> list[str]:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    return [match[1] for match in matches if match] if all(matches) else []


def _unreadable(code: str, fault: str, written: Generation, max_tokens: int) -> Unreadable:
    if written.tokens >= max_tokens:
        code, fault = "cut_off", f"{fault} within {max_tokens} tokens"
    return Unreadable(f"{code}: {fault}: {clean(written.text)[:_QUOTED]!r}")
