"""RankVideo as the reranker of an index that knows nothing of this package: any node that names a video file will do.

    python examples/rerank_your_index.py [CHECKPOINT]

CHECKPOINT is a hub name or a folder, such as hltcoe/RankVideo; without it a scripted rule that looks at the pixels judges.
"""

import sys
import tempfile
from pathlib import Path

from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.schema import TextNode

from rankvideo_rag import RankVideoRerank
from rankvideo_rag.synthetic import generate_questions, render_archive


def main() -> None:
    checkpoint = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        clips = render_archive(folder, clips=8)
        nodes = [TextNode(text=clip.stem, metadata={"file_path": f"{folder}/{clip.stem}.mp4"}) for clip in clips]
        index = VectorStoreIndex(nodes, embed_model=MockEmbedding(8))
        reranker = RankVideoRerank(model=checkpoint, backend="transformers" if checkpoint else "scripted", top_n=3)
        engine = index.as_query_engine(llm=MockLLM(), similarity_top_k=8, node_postprocessors=[reranker])
        question = generate_questions(clips)[0]
        print(question.text)
        for hit in engine.query(question.text).source_nodes:
            right = Path(hit.node.metadata["file_path"]).stem in question.judgements
            print(f"  {hit.score:+.2f}  {hit.node.get_content()}{'  <- shows it' if right else ''}")


if __name__ == "__main__":
    main()
