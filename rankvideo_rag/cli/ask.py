"""rankvideo ask: answer a question with verified citations."""

from typing import TYPE_CHECKING, Any

from rankvideo_rag.cli.console import hits_table, note, out, print_json, printable
from rankvideo_rag.cli.domain_warning import warn_if_foreign
from rankvideo_rag.cli.options import (
    SEARCH_SETTINGS,
    Archive,
    AsJson,
    EvidenceSubsets,
    Frames,
    Llm,
    LlmUrl,
    Question,
    load_llm,
    setting_options,
)

if TYPE_CHECKING:
    from llama_index.core.schema import NodeWithScore

    from rankvideo_rag.schema import Answer, Hit


@setting_options("min_margin", *SEARCH_SETTINGS)
def ask(
    archive: Archive,
    question: Question,
    options: dict[str, Any],
    llm: Llm = None,
    llm_url: LlmUrl = None,
    frames: Frames = 0,
    evidence_subsets: EvidenceSubsets = 1,
    as_json: AsJson = False,
) -> None:
    """Answer a question: retrieve clips, rerank them with RankVideo, cite video and second."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.nodes import nodes_to_hits
    from rankvideo_rag.schema import Answer, to_json

    with VideoArchive.open(archive, **options) as opened:
        synthesizer = opened.as_synthesizer(load_llm(llm, llm_url), frames=frames, evidence_subsets=evidence_subsets)
        response = opened.as_query_engine(response_synthesizer=synthesizer).query(question)
        hits = nodes_to_hits(response.source_nodes)
        warn_if_foreign(opened.store, opened.settings, {hit.video_id for hit in hits})
    answer = Answer.model_validate((response.metadata or {})["answer"])
    _note_if_not_reranked(response.source_nodes)
    if as_json:
        print_json(to_json(answer, hits))
    else:
        print_answer(answer, hits)


def print_answer(answer: "Answer", hits: list["Hit"]) -> None:
    """Print the answer, its citations, what was removed, and the clips behind it."""
    out.print(f"[bold]{printable(answer.text)}[/]", soft_wrap=True)
    for citation in answer.citations:
        out.print(f"  {printable(citation.path)} {citation.start:.1f}-{citation.end:.1f} s", soft_wrap=True)
    if answer.reason:
        note(answer.reason)
    for removed in answer.removed_citations:
        note(f"removed the citation {removed.marker}: {removed.reason}")
    for claim in answer.removed_claims:
        note(f"removed a claim: {claim.reason}")
    for part in answer.prompt.omitted if answer.prompt else ():
        note(f"left out of the prompt: {part.count} of {part.total} {part.kind} of {part.title}: {part.reason}")
    if hits:
        out.print()
        out.print(hits_table(hits))


def _note_if_not_reranked(nodes: list["NodeWithScore"]) -> None:
    """Print a note if the reranker abstained on every clip."""
    statuses = [hit.node.metadata.get("rerank_status") for hit in nodes]
    if nodes and all(status and status.startswith("abstained") for status in statuses):
        note(
            f"not reranked ({statuses[0]}). RankVideo can score these clips: --reranker transformers --reranker-model "
            f"hltcoe/RankVideo, or index the videos into another archive with --profile gpu."
        )
