"""What the demo shows of an archive of the little world: a few questions of each kind, and what reranking changes."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.demo.questions import Question
from rankvideo_rag.eval.measures import measure as measured
from rankvideo_rag.nodes import hits_of

MEASURES = ("nDCG@10", "R@10")
ASKED_OF_A_KIND = 2


def pick(questions: Sequence[Question]) -> list[Question]:
    """The first few questions of each kind of evidence."""
    return [q for _, kind in groupby(questions, key=lambda q: q.channel) for q in list(kind)[:ASKED_OF_A_KIND]]


def measure(archive: VideoArchive, questions: Sequence[Question]) -> dict[str, Any]:
    """nDCG@10 and R@10 before and after reranking, over the questions that only the picture answers.

    Those of words are left out: the pixel rule, which knows no words, would not change them.
    """
    seen = [question for question in questions if question.channel == "visual"]
    retriever = archive.as_retriever()
    reranker = archive.as_reranker(top_n=archive.settings.rerank_depth)
    first: dict[str, list[str]] = {}
    reranked: dict[str, list[str]] = {}
    for question in seen:
        nodes = retriever.retrieve(question.text)
        first[question.question_id] = [Path(hit.path).stem for hit in hits_of(nodes)]
        nodes = reranker.postprocess_nodes(nodes, query_str=question.text) if reranker else nodes
        reranked[question.question_id] = [Path(hit.path).stem for hit in hits_of(nodes)]
    qrels = {question.question_id: question.judgements for question in seen}
    return {
        "first_stage": measured(first, qrels, MEASURES),
        "reranked": measured(reranked, qrels, MEASURES),
        "questions": len(seen),
    }
