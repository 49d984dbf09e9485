"""A little world of coloured shapes: clips as records, rendered to real video files, with questions whose answers are known.

`plan_clips` invents the records, `write_clips` writes them as .mp4 and .srt files (`render_archive` does both), and `questions`
asks about them. lessons.py teaches other clips of the same world: the models that ship have learned from these.
"""

from rankvideo_rag.synthetic.grammar import grade
from rankvideo_rag.synthetic.questions import Question, generate_questions
from rankvideo_rag.synthetic.render import render_archive, render_frames, write_clips
from rankvideo_rag.synthetic.scenes import Shape, SyntheticClip, plan_clips

__all__ = [
    "Question",
    "Shape",
    "SyntheticClip",
    "generate_questions",
    "grade",
    "plan_clips",
    "render_archive",
    "render_frames",
    "write_clips",
]
