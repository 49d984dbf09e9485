"""Measure retrieval, reranking and answers. Needs the extra `eval`.

Retrieval   retrieval.py compares runs by measures.py (coverage.py and moment_measures.py hold those that ir-measures lacks),
            with ties.py, significance.py and slices.py
Reranking   reranking.py compares the first stage with the reranked order, with calibration_error.py and variance.py;
            backend_agreement.py compares two backends
Datasets    corpora.py checks downloads, prepare.py converts published datasets
Answers     answers/, and report/ measures all of an archive
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankvideo_rag.eval.answers.judgement_cache import JudgementCache as JudgementCache
    from rankvideo_rag.eval.answers.judges import load_judge as load_judge
    from rankvideo_rag.eval.answers.records import Reference as Reference
    from rankvideo_rag.eval.answers.records import ReferenceClaim as ReferenceClaim
    from rankvideo_rag.eval.corpora import check_corpus as check_corpus
    from rankvideo_rag.eval.corpora import get_corpus as get_corpus
    from rankvideo_rag.eval.report.build import build_report as build_report
    from rankvideo_rag.eval.report.folder import JUDGEMENTS as JUDGEMENTS
    from rankvideo_rag.eval.report.folder import read_report_folder as read_report_folder
    from rankvideo_rag.eval.report.questions import Questions as Questions
    from rankvideo_rag.eval.report.questions import read_questions as read_questions
    from rankvideo_rag.eval.report.render import write_report as write_report
    from rankvideo_rag.eval.report.runner import ask_archive as ask_archive

_MODULES = {
    "JudgementCache": "answers.judgement_cache",
    "Questions": "report.questions",
    "Reference": "answers.records",
    "ReferenceClaim": "answers.records",
    "JUDGEMENTS": "report.folder",
    "ask_archive": "report.runner",
    "build_report": "report.build",
    "check_corpus": "corpora",
    "get_corpus": "corpora",
    "load_judge": "answers.judges",
    "read_questions": "report.questions",
    "read_report_folder": "report.folder",
    "write_report": "report.render",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
