"""A small archive of rendered clips, and what tests ask about it."""

from pathlib import Path
from typing import NamedTuple

from llama_index.core.schema import NodeWithScore

from rankvideo_rag.indexing.build import IndexReport
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.synthetic import Question, SyntheticClip, generate_questions, plan_clips


class World(NamedTuple):
    """A rendered world and its archive."""

    videos: Path
    archive: Path
    clips: list[SyntheticClip]
    report: IndexReport


def stems(nodes: list[NodeWithScore]) -> list[str]:
    """The names of the clips that these nodes stand for."""
    return [Path(hit.path).stem for hit in nodes_to_hits(nodes)]


def asked(world: World, channel: str) -> list[Question]:
    """The questions about this world that this channel can answer, but for grounds, which the pixel rules do not know."""
    of_channel = [question for question in generate_questions(world.clips) if question.channel == channel]
    return [question for question in of_channel if question.query is None or question.query.background is None]


def narrated(world: World) -> SyntheticClip:
    """A clip in which somebody speaks."""
    return next(clip for clip in world.clips if clip.narration)


def plain_clips(count: int, *, seed: int) -> list[SyntheticClip]:
    """Those of so many clips that the pixel rules understand whole: one scene, nothing that comes or goes."""
    planned = (clip for clip in plan_clips(count, seed=seed) if len(clip.shots) == 1)
    return [clip for clip in planned if all(look.event == "steady" for look in clip.scene.shots[0])]
