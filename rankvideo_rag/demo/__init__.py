"""A little world of coloured shapes: clips as records, rendered to real video files, with questions whose answers are known.

`plan_clips` invents the records, `render_archive` writes them as .mp4 and .srt files, `questions` asks about them.
"""

from rankvideo_rag.demo.questions import Question, grade, questions
from rankvideo_rag.demo.render import render_archive, render_frames
from rankvideo_rag.demo.world import Thing, WorldClip, plan_clips

__all__ = [
    "Question",
    "Thing",
    "WorldClip",
    "grade",
    "plan_clips",
    "questions",
    "render_archive",
    "render_frames",
]
