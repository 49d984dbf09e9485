"""rankvideo search: the clips that may answer a question."""

from typing import Annotated

import typer

from rankvideo_rag.cli.console import hits_table, out, print_json
from rankvideo_rag.cli.domain_warning import say_what_is_foreign
from rankvideo_rag.cli.options import Archive, AsJson, Device, Gpu, Profile, Question, Reranker, RerankerModel, Vectors


def search(
    archive: Archive,
    question: Question,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="Clips to list.")] = 10,
    rerank: Annotated[bool, typer.Option("--rerank", help="Let RankVideo watch the clips and re-order them.")] = False,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="Leave out clips that show the same as a better one.")
    ] = False,
    profile: Profile = None,
    reranker: Reranker = None,
    reranker_model: RerankerModel = None,
    device: Device = None,
    gpu: Gpu = None,
    vectors: Vectors = None,
    as_json: AsJson = False,
) -> None:
    """Search an archive: clips by what is seen, said, written and described, best first."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.nodes import nodes_to_hits

    options = {
        "profile": profile,
        "reranker": reranker,
        "reranker_model": reranker_model,
        "device": device,
        "gpu": gpu,
        "vector_store": vectors,
    }
    with VideoArchive.open(archive, **options) as opened:
        judge = opened.as_reranker(top_n=top) if rerank or reranker else None
        top_k = max(top, opened.settings.rerank_depth) if judge else top
        nodes = opened.as_retriever(top_k=top_k, no_duplicates=no_duplicates).retrieve(question)
        hits = nodes_to_hits(judge.postprocess_nodes(nodes, query_str=question) if judge else nodes)
        say_what_is_foreign(opened.store, opened.settings, {hit.video_id for hit in hits})
    if as_json:
        print_json([hit.model_dump() for hit in hits])
    elif hits:
        out.print(hits_table(hits))
    else:
        out.print("Nothing in the archive matches this question.")
