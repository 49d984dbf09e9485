"""Clips of videos in a LlamaIndex pipeline and index of your own, without an archive.

    python examples/your_own_pipeline.py [FOLDER]

Renders a few clips, or takes the videos in FOLDER; the embedder is a scripted rule that sees coloured shapes. For real videos
put the options of a profile in its place: VideoClips(options={"profile": "cpu"}).
"""

import sys
import tempfile
from pathlib import Path

from llama_index.core import Document, QueryBundle, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline

from rankvideo_rag import VideoClips
from rankvideo_rag.synthetic import generate_questions, render_archive


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = sys.argv[1] if len(sys.argv) > 1 else made
        asked = "a red circle" if folder != made else generate_questions(render_archive(made, clips=8))[0].text
        clips = VideoClips(options={"embedder": "scripted", "ocr": "none"}, on_error="skip")
        files = sorted(file for file in Path(folder).iterdir() if file.suffix == ".mp4")
        nodes = IngestionPipeline(transformations=[clips]).run(
            documents=[Document(text=file.stem, metadata={"file_path": str(file)}) for file in files]
        )
        question = QueryBundle(asked, embedding=clips.embed_query(asked))
        index = VectorStoreIndex(list(nodes), embed_model=MockEmbedding(len(question.embedding or [])))
        print(asked)
        for hit in index.as_retriever(similarity_top_k=3).retrieve(question):
            print(f"  {hit.score:.3f}  {hit.node.metadata['title']} {hit.node.metadata['start']:.0f} s")


if __name__ == "__main__":
    main()
