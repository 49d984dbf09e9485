"""Strict parsing of generated texts: one that lacks the requested form is unreadable, for a reason with a code.

Nothing is guessed from other words: RankVideo's own script reads "know" as a no.
"""

import json
import re
from typing import NamedTuple

from rankvideo_rag.models.vlm import Generation
from rankvideo_rag.text import clean

_ANSWER = re.compile(r"<answer>\s*(yes|no)\s*(?:</answer>|\Z)", re.IGNORECASE)
_CODE_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)
_NUMBERED = re.compile(r"\s*\d+[.)]\s+(\S.*)")
_QUOTED = 120  # characters of an unreadable text that its reason repeats


class Unreadable(NamedTuple):
    """Why a text could not be used, in the form "no_think: text"."""

    reason: str


class Thought(NamedTuple):
    """The text between <think> and </think>, and what follows it."""

    text: str  # cleaned, never empty
    opened: bool  # the model wrote <think> itself; some chat templates have written it already
    rest: str


def parse_thought(generation: Generation, *, max_tokens: int) -> Thought | Unreadable:
    """Return the last <think>…</think> of a text: reasoning models have one of their own before it.

    >>> parse_thought(Generation("<think>A red disc.</think> <answer>no</answer>", 9), max_tokens=99)
    Thought(text='A red disc.', opened=True, rest=' <answer>no</answer>')
    """
    before, closed, rest = generation.text.rpartition("</think>")
    if not closed:
        return _unreadable("no_think", "no closed <think>…</think>", generation, max_tokens)
    _, opened, text = before.rpartition("<think>")
    thought = clean(text)
    if not thought:
        return _unreadable("empty_think", "an empty <think></think>", generation, max_tokens)
    return Thought(thought, bool(opened), rest)


def parse_answer(text: str, generation: Generation, *, max_tokens: int) -> int | Unreadable:
    """Return 1 for <answer>yes</answer> in this part of a generation, 0 for no; the closing tag may be missing at the end."""
    found = {match.lower() for match in _ANSWER.findall(text)}
    if len(found) != 1:
        problem = "both yes and no" if found else "no yes or no between <answer> and </answer>"
        return _unreadable("no_answer", problem, generation, max_tokens)
    return int(found == {"yes"})


def parse_questions(generation: Generation, *, limit: int, max_tokens: int) -> list[str] | Unreadable:
    """Return the first `limit` questions of a JSON list of strings, or of a numbered list, cleaned.

    >>> parse_questions(Generation('["Who sings?", "Where?"]', 9), limit=2, max_tokens=99)
    ['Who sings?', 'Where?']
    >>> parse_questions(Generation("1. Who sings?\\n2) Where?", 9), limit=1, max_tokens=99)
    ['Who sings?']
    """
    text = generation.text.rpartition("</think>")[2].strip()
    fenced = _CODE_FENCE.match(text)
    listed = _json_list(fenced[1] if fenced else text) or _numbered_list(text)
    questions = [question for question in map(clean, listed) if question]
    problem = "neither a JSON list of strings nor a numbered list"
    return questions[:limit] or _unreadable("no_questions", problem, generation, max_tokens)


def _json_list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def _numbered_list(text: str) -> list[str]:
    matches = [_NUMBERED.fullmatch(line) for line in text.splitlines() if line.strip()]
    return [match[1] for match in matches if match] if all(matches) else []


def _unreadable(code: str, problem: str, generation: Generation, max_tokens: int) -> Unreadable:
    if generation.tokens >= max_tokens:
        code, problem = "cut_off", f"{problem} within {max_tokens} tokens"
    return Unreadable(f"{code}: {problem}: {clean(generation.text)[:_QUOTED]!r}")
