"""rankvideo search: find clips."""

from typing import Annotated, Any

import typer

from rankvideo_rag.cli.console import hits_table, out, render
from rankvideo_rag.cli.domain_warning import warn_if_foreign
from rankvideo_rag.cli.options import SEARCH_SETTINGS, Archive, AsJson, Question, setting_options


@setting_options(*SEARCH_SETTINGS)
def search(
    archive: Archive,
    question: Question,
    options: dict[str, Any],
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="Clips to list.")] = 10,
    rerank: Annotated[bool, typer.Option("--rerank", help="Rerank the clips with RankVideo.")] = False,
    no_duplicates: Annotated[bool, typer.Option("--no-duplicates", help="Omit near-duplicates of better clips.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search an archive: clips by picture, speech, on-screen text and descriptions, best first."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.nodes import nodes_to_hits

    with VideoArchive.open(archive, **options) as opened:
        reranker = opened.as_reranker(top_n=top) if rerank or "reranker" in options else None
        top_k = max(top, opened.settings.rerank_depth) if reranker else top
        nodes = opened.as_retriever(top_k=top_k, no_duplicates=no_duplicates).retrieve(question)
        hits = nodes_to_hits(reranker.postprocess_nodes(nodes, query_str=question) if reranker else nodes)
        warn_if_foreign(opened.store, opened.settings, {hit.video_id for hit in hits})
    found = hits_table(hits) if hits else "Nothing in the archive matches this question."
    render([hit.model_dump() for hit in hits], lambda: out.print(found), as_json=as_json)
