"""rankvideo ask: answer a question with verified citations."""

from typing import TYPE_CHECKING, Any

import typer

from rankvideo_rag.cli.console import PARTIAL, hits_table, note, out, print_error, print_json, printable
from rankvideo_rag.cli.domain_warning import warn_if_foreign
from rankvideo_rag.cli.options import (
    LLM_SETTINGS,
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
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.response.schema import Response
    from llama_index.core.schema import NodeWithScore

    from rankvideo_rag.schema import Answer, Hit


@setting_options("min_margin", "min_probability", *LLM_SETTINGS, *SEARCH_SETTINGS)
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
        # A stream shows progress. Not every LLM of --llm has one, and function calls have none.
        answering = {"frames": frames, "evidence_subsets": evidence_subsets, "streaming": llm_url is not None}
        synthesizer = opened.as_synthesizer(load_llm(llm, llm_url, opened.settings), **answering)
        waiting_for = llm or f"the LLM at {llm_url}, at most {opened.settings.llm_timeout:g} s"
        response = _query(opened.as_query_engine(response_synthesizer=synthesizer), question, waiting_for)
        hits = nodes_to_hits(response.source_nodes)
        warn_if_foreign(opened.store, opened.settings, {hit.video_id for hit in hits})
    answer = Answer.model_validate((response.metadata or {})["answer"])
    _note_if_not_reranked(response.source_nodes)
    if answer.llm_status == "failed":
        print_error(answer.reason or "the language model failed")
    if as_json:
        print_json(to_json(answer, hits))
    else:
        print_answer(answer, hits)
    if answer.llm_status == "failed":
        raise typer.Exit(PARTIAL)


def _query(engine: "BaseQueryEngine", question: str, waiting_for: str) -> "Response":
    from llama_index.core.base.response.schema import Response, StreamingResponse

    from rankvideo_rag.cli.llm_progress import llm_progress

    with llm_progress(waiting_for):
        response = engine.query(question)
        if isinstance(response, StreamingResponse):
            response = response.get_response()
    assert isinstance(response, Response)
    return response


def print_answer(answer: "Answer", hits: list["Hit"]) -> None:
    """Print the answer, its citations, what was removed, and the clips behind it."""
    out.print(f"[bold]{printable(answer.text)}[/]", soft_wrap=True)
    for citation in answer.citations:
        out.print(f"  {printable(citation.path)} {citation.start:.1f}-{citation.end:.1f} s", soft_wrap=True)
    if answer.reason and answer.llm_status != "failed":
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
    statuses = [hit.node.metadata.get("unscored_picture") for hit in nodes]
    if nodes and all(status and status.startswith("abstained") for status in statuses):
        note(
            f"not reranked ({statuses[0]}). RankVideo can score these clips: --reranker transformers --reranker-model "
            f"hltcoe/RankVideo, or index the videos into another archive with --profile gpu."
        )
