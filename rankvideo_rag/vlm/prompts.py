"""The format of RankVideo's input, as data: wording, order of question and video, read position, frame budget.

The wording is that of the published inference script (arXiv 2602.02444, code `inference.py`): a checkpoint's prompt is a fact
about it. A spec is part of the identity of every score made with it.
"""

from typing import Literal

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.schema import FrameBudget, Record
from rankvideo_rag.text import clean
from rankvideo_rag.vlm import Prompt


class PromptSpec(Record):
    """How a question and the frames of a clip become a prompt, and where the verdict is read."""

    name: str
    version: int
    system: str
    question: str  # with {query}
    order: Literal["question-first", "video-first"]
    read_position: Literal["first_token", "after_answer_tag"]
    frames: FrameBudget = FrameBudget()
    labels: tuple[str, str] = ("yes", "no")

    def prompt(self, query: str, frames: Frames) -> Prompt:
        """The prompt for one pair. Control tokens in the question are broken, so that it cannot end its own turn."""
        question = self.question.format(query=clean(query))
        user = (question, frames) if self.order == "question-first" else (frames, question)
        return Prompt(self.system, user, prefill="<answer>" if self.read_position == "after_answer_tag" else "")


RANKVIDEO = PromptSpec(
    name="rankvideo",
    version=1,
    # The trailing space stands in the published script.
    system=(
        "You are a helpful assistant specialized in video and text understanding. Given a text query and a video, your task "
        "is to determine if the video is relevant to the query. Respond with <answer>yes</answer> if the video is relevant, "
        "or <answer>no</answer> if it is not. "
    ),
    question=("Query: {query}\nIs the video relevant to the query? Respond with <answer>yes</answer> or <answer>no</answer>."),
    order="question-first",
    read_position="first_token",
)

SPECS = {spec.name: spec for spec in (RANKVIDEO,)}


def prompt_spec(name: str) -> PromptSpec:
    """The spec of that name. Raises InputError that lists the names there are."""
    if name not in SPECS:
        raise InputError(f"unknown prompt {name!r}: choose one of {', '.join(SPECS)}")
    return SPECS[name]
