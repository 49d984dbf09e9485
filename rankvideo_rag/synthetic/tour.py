"""Which questions the demo asks aloud: a few of each kind of evidence."""

from collections.abc import Sequence
from itertools import groupby

from rankvideo_rag.synthetic.questions import Question

ASKED_OF_A_KIND = 2


def pick(questions: Sequence[Question]) -> list[Question]:
    """The first few questions of each kind of evidence."""
    return [q for _, kind in groupby(questions, key=lambda q: q.channel) for q in list(kind)[:ASKED_OF_A_KIND]]
