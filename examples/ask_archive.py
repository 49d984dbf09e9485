"""Index a folder and ask it, from Python. Renders its own little archive, so that it runs as printed.

python examples/ask_archive.py
"""

import tempfile
from pathlib import Path

from rankvideo_rag import VideoArchive, index
from rankvideo_rag.synthetic import generate_questions, render_archive


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clips = render_archive(Path(folder, "videos"), clips=8)
        report = index(Path(folder, "videos"), Path(folder, "archive"), ocr="none")
        print(f"{report.count('ok')} of {len(report.files)} videos indexed")
        with VideoArchive.open(Path(folder, "archive")) as archive:
            engine = archive.as_query_engine()
            for question in generate_questions(clips)[-2:]:
                response = engine.query(question.text)
                print(f"\n{question.text}\n  {response}")
                for citation in (response.metadata or {})["answer"]["citations"]:
                    print(f"  {Path(citation['path']).name} {citation['start']:.1f}-{citation['end']:.1f} s")


if __name__ == "__main__":
    main()
