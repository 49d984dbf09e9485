"""Take the margin below which an archive does not answer from questions of which that is known.

Renders a little archive, indexes one clip of two, and asks about all of them: questions about the others have no answer.

python examples/calibrate_answers.py
"""

import tempfile
from pathlib import Path

from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import QueryBundle

from rankvideo_rag import Settings, VideoArchive, calibrate_margin, index
from rankvideo_rag.synthetic import generate_questions, render_archive


def best_margin(engine: RetrieverQueryEngine, question: str) -> float | None:
    """RankVideo's best margin among the clips; None where it could judge none."""
    margins = [hit.node.metadata.get("rerank_score") for hit in engine.retrieve(QueryBundle(question))]
    return max((margin for margin in margins if margin is not None), default=None)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clips = render_archive(Path(folder, "videos"), clips=16)
        kept = {clip.stem for clip in clips[::2]}
        files = [Path(folder, "videos", f"{stem}.mp4") for stem in sorted(kept)]
        index(files, Path(folder, "archive"), Settings.load(ocr="none"))
        asked = [question for question in generate_questions(clips) if question.channel == "visual"]
        with VideoArchive.open(Path(folder, "archive")) as archive:
            engine = archive.as_query_engine()
            best = [best_margin(engine, question.text) for question in asked]
            judged = [(q, margin) for q, margin in zip(asked, best, strict=True) if margin is not None]
            answerable = [bool(kept & set(question.judgements)) for question, _ in judged]
            found = calibrate_margin([margin for _, margin in judged], answerable)
            print(f"{len(judged)} of {len(asked)} questions judged, {sum(answerable)} of them can be answered")
            if found.min_margin is None:
                print("at no margin are 95 % of what is answered answerable: these margins do not tell")
            else:
                print(f"answer from a margin of {found.min_margin} on: that answers {found.answered:.0%} of these")
                print(f"and {found.wrongly_answered:.0%} of what is answered then has no answer")
                careful = archive.as_synthesizer(min_margin=found.min_margin)
                print(archive.as_query_engine(response_synthesizer=careful).query("a pink elephant that dances"))


if __name__ == "__main__":
    main()
