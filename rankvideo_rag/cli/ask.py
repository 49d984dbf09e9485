"""rankvideo ask: an answer with checked citations."""

from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import hits_table, note, out, print_json, shown
from rankvideo_rag.cli.domain_warning import say_what_is_foreign
from rankvideo_rag.cli.options import (
    Archive,
    AsJson,
    Device,
    EvidenceSubsets,
    Frames,
    Llm,
    LlmUrl,
    Profile,
    Question,
    Reranker,
    RerankerModel,
    Vectors,
    load_llm,
)

if TYPE_CHECKING:
    from llama_index.core.schema import NodeWithScore

    from rankvideo_rag.schema import Answer, Hit

MinMargin = Annotated[
    float | None,
    typer.Option(
        help="RankVideo's margin from which on a clip is taken to show what is asked; `rankvideo eval threshold` finds one. "
        "By default the setting min_margin, which is 0: the model's own verdict.",
        show_default=False,
    ),
]


def ask(
    archive: Archive,
    question: Question,
    llm: Llm = None,
    llm_url: LlmUrl = None,
    frames: Frames = 0,
    evidence_subsets: EvidenceSubsets = 1,
    min_margin: MinMargin = None,
    profile: Profile = None,
    reranker: Reranker = None,
    reranker_model: RerankerModel = None,
    device: Device = None,
    vectors: Vectors = None,
    as_json: AsJson = False,
) -> None:
    """Ask an archive: retrieve, let RankVideo watch, answer with citations to video and second."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.nodes import nodes_to_hits
    from rankvideo_rag.schema import Answer, to_json

    options = {
        "profile": profile,
        "reranker": reranker,
        "reranker_model": reranker_model,
        "device": device,
        "vector_store": vectors,
    }
    with VideoArchive.open(archive, min_margin=min_margin, **options) as opened:
        synthesizer = opened.as_synthesizer(load_llm(llm, llm_url), frames=frames, evidence_subsets=evidence_subsets)
        response = opened.as_query_engine(response_synthesizer=synthesizer).query(question)
        hits = nodes_to_hits(response.source_nodes)
        say_what_is_foreign(opened.store, opened.settings, {hit.video_id for hit in hits})
    answer = Answer.model_validate((response.metadata or {})["answer"])
    _say_what_was_not_judged(response.source_nodes)
    if as_json:
        print_json(to_json(answer, hits))
    else:
        print_answer(answer, hits)


def print_answer(answer: "Answer", hits: list["Hit"]) -> None:
    """The answer for people: text, what was removed, the clips behind it."""
    out.print(f"[bold]{shown(answer.text)}[/]", soft_wrap=True)
    for citation in answer.citations:
        out.print(f"  {shown(citation.path)} {citation.start:.1f}-{citation.end:.1f} s", soft_wrap=True)
    if answer.reason:
        note(answer.reason)
    for removed in answer.removed_citations:
        note(f"removed the citation {removed.marker}: {removed.reason}")
    for claim in answer.removed_claims:
        note(f"removed a statement: {claim.reason}")
    for part in answer.prompt.omitted if answer.prompt else ():
        note(f"left out of the prompt: {part.count} of {part.total} {part.kind} of {part.title}: {part.reason}")
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
