"""rankvideo ask: an answer with checked citations."""

from typing import TYPE_CHECKING

from rankvideo_rag.cli.console import hits_table, note, out, print_json, shown
from rankvideo_rag.cli.options import Archive, AsJson, Device, Llm, Profile, Question, Reranker, RerankerModel, load_llm

if TYPE_CHECKING:
    from llama_index.core.schema import NodeWithScore

    from rankvideo_rag.schema import Answer, Hit


def ask(
    archive: Archive,
    question: Question,
    llm: Llm = None,
    profile: Profile = None,
    reranker: Reranker = None,
    reranker_model: RerankerModel = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Ask an archive: retrieve, let RankVideo watch, answer with citations to video and second."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.nodes import hits_of
    from rankvideo_rag.schema import Answer, as_contract

    options = {"profile": profile, "reranker": reranker, "reranker_model": reranker_model, "device": device}
    with VideoArchive.open(archive, **options) as opened:
        response = opened.as_query_engine(load_llm(llm)).query(question)
    answer = Answer.model_validate((response.metadata or {})["answer"])
    _say_what_was_not_judged(response.source_nodes)
    hits = hits_of(response.source_nodes)
    if as_json:
        print_json(as_contract(answer, hits))
    else:
        print_answer(answer, hits)


def print_answer(answer: "Answer", hits: list["Hit"]) -> None:
    """The answer for people: text, what was removed, the clips behind it."""
    out.print(f"[bold]{shown(answer.text)}[/]", soft_wrap=True)
    for citation in answer.citations:
        out.print(f"  {shown(citation.path)} {citation.start:.1f}-{citation.end:.1f} s", soft_wrap=True)
    for removed in answer.removed_citations:
        note(f"removed the citation {removed.marker}: {removed.reason}")
    if hits:
        out.print()
        out.print(hits_table(hits))


def _say_what_was_not_judged(nodes: list["NodeWithScore"]) -> None:
    """Tell when the reranker could say nothing at all, and which profile could."""
    statuses = [hit.node.metadata.get("rerank_status") for hit in nodes]
    if nodes and all(status and status.startswith("abstained") for status in statuses):
        note(
            f"not reranked ({statuses[0]}). RankVideo itself can judge them: --reranker transformers --reranker-model "
            f"hltcoe/RankVideo, or index the videos into another archive with --profile gpu."
        )
