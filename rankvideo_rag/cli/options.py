"""Options that several commands share, so that each is worded once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

Archive = Annotated[Path, typer.Argument(help="The archive's folder.", metavar="ARCHIVE", show_default=False)]
Question = Annotated[str, typer.Argument(help="What you want to know.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Profile = Annotated[
    str | None,
    typer.Option(help="Models that go together: tiny, cpu or gpu. By default the archive's own.", show_default=False),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; by default the best there is.", show_default=False)]
Gpu = Annotated[
    bool | None,
    typer.Option(
        "--gpu", help="Index and search vectors on a GPU, with faiss-gpu in the place of faiss-cpu.", show_default=False
    ),
]
Vectors = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="Where vectors are searched: faiss (on this machine), milvus:FILE.db, milvus:http://host:19530, or "
        "package.module:function that returns a LlamaIndex vector store.",
        show_default=False,
    ),
]
Engine = Annotated[
    str | None, typer.Option(help="Where files are read: local, or ray (by workers on a Ray cluster).", show_default=False)
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="The Ray cluster; by default one is started on this machine.", show_default=False),
]
Reranker = Annotated[
    str | None,
    typer.Option(help="Who watches the clips: transformers, scripted, none, or package.module:function.", show_default=False),
]
RerankerModel = Annotated[
    str | None, typer.Option(help="Hub name or local path of the RankVideo checkpoint.", show_default=False)
]
Llm = Annotated[
    str | None,
    typer.Option(
        help="Who writes the answers: package.module:function that returns a LlamaIndex LLM. By default they are quoted from "
        "the archive's words.",
        show_default=False,
    ),
]

LlmUrl = Annotated[
    str | None,
    typer.Option(
        help="Let the model that is served there write the answers: an OpenAI-compatible endpoint such as that of vllm serve, "
        "http://127.0.0.1:8000/v1.",
        show_default=False,
    ),
]
Frames = Annotated[int, typer.Option(min=0, help="Frames of each clip that the model is shown; it must be able to see.")]
EvidenceSubsets = Annotated[
    int, typer.Option(min=1, help="Answer from this many subsets of the clips and keep the best supported answer.")
]


def load_llm(name: str | None, url: str | None = None) -> "LLM | None":
    """What `--llm` names, or what is served at `--llm-url`. Raises InputError for both, and for a name of no function."""
    from rankvideo_rag.backends import load_backend
    from rankvideo_rag.errors import InputError

    if name and url:
        raise InputError("--llm and --llm-url both name who writes the answers: give one of them")
    if url:
        from rankvideo_rag.answering.openai_like import load_openai_like

        return load_openai_like(url)
    if name is None:
        return None
    if ":" not in name:
        raise InputError(f"--llm {name!r}: give package.module:function, a function that returns a LlamaIndex LLM")
    llm: LLM = load_backend("llm", name)
    return llm
