"""A synthetic dataset: clips of moving coloured shapes, rendered to video files, with questions whose answers are known.

`plan_clips` makes the records, `write_clips` writes them as .mp4 and .srt files (`render_archive` does both), and
`generate_questions` asks about them. dataset.py makes training data from other clips, for the models that ship.
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
