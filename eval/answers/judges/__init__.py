"""Judges of claims: one module for each, with `load(model, *, device)`; its name is its name on the command line.

Every VLM backend can be used as well: as a text judge through its generated replies, as a video judge through its margins.
"""

from rankvideo_rag.backends import backend_names, load_backend
from rankvideo_rag.eval.answers.judge import Judge
from rankvideo_rag.eval.answers.judges.llm import judge_from_vlm
from rankvideo_rag.models.vlm import load_vlm

_VLM = "rankvideo_rag.models.vlm"


def load_judge(name: str, model: str | None = None, *, device: str | None = None) -> Judge:
    """Load a text judge: a module of this folder, a VLM backend, or package.module:function."""
    if name in backend_names(_VLM):
        return judge_from_vlm(load_vlm(name, model, device=device))
    judge: Judge = load_backend(__name__, name, model, device=device)
    return judge
