"""Benchmark your corpus: index it, ask it with RankVideo and without, score runs and answers, and write one page about it.

    python examples/benchmark_your_corpus.py [FOLDER]

This is the one file to edit: `main` names the corpus and the models. As it stands it runs offline on a small synthetic dataset;
FOLDER keeps videos, archive and report, which are deleted otherwise.
"""

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag import Settings, VideoArchive, index
from rankvideo_rag.eval import (
    JUDGEMENTS,
    JudgementCache,
    Questions,
    Reference,
    ReferenceClaim,
    ask_archive,
    build_report,
    check_corpus,
    get_corpus,
    load_judge,
    read_questions,
    read_report_folder,
    write_report,
)
from rankvideo_rag.formats import Qrels, load_qrels, read_multivent_queries, read_qrels, read_wikivideo
from rankvideo_rag.synthetic import generate_questions, render_archive


class Corpus(NamedTuple):
    """Videos, questions and relevance judgements. Videos are identified by file name without suffix."""

    videos: Path
    questions: Questions
    qrels: Qrels


def main(folder: Path) -> None:
    # Your corpus: synthetic(folder), your_own(folder), wikivideo(folder) or multivent2(folder).
    corpus = synthetic(folder)
    # Your models: profile="gpu" reranks with RankVideo itself. Without a score cache the time of reranking is measured.
    settings = Settings.load(ocr="none", score_cache="none")
    # The LlamaIndex LLM that writes the answers, and their judge. None quotes the archive; "lexical" compares terms.
    llm, judge = None, load_judge("lexical")

    indexed = index([corpus.videos], folder / "archive", settings)
    print(f"{indexed.count('ok')} of {len(indexed.files)} videos indexed in {indexed.seconds:.0f} s")
    report = folder / "report"
    with VideoArchive.open(folder / "archive", settings) as archive:
        synthesizer = archive.as_synthesizer(llm)
        ask_archive(archive, corpus.questions, corpus.qrels, report, synthesizer=synthesizer, stems=True)
    judgements = JudgementCache(judge, file=report / JUDGEMENTS)
    found = build_report(read_report_folder(report), judgements, measures=["nDCG@10", "R@10"])
    print(found.benefit.summary)
    for side, counts in found.counts.items():
        print(f"{side} reranking: {counts.right} of {counts.questions} answers right; lost: {counts.failures}")
    print(f"report: {write_report(found, report)}")


def your_own(folder: Path) -> Corpus:
    """Videos in FOLDER/videos; questions.jsonl (see eval/report/questions.py) and TREC judgements beside them."""
    return Corpus(folder / "videos", read_questions(folder / "questions.jsonl"), read_qrels(folder / "qrels.trec"))


def synthetic(folder: Path) -> Corpus:
    """Twelve rendered clips, and questions with known answers."""
    asked = generate_questions(render_archive(folder / "videos", clips=12))
    (folder / "questions.jsonl").write_text("".join(f"{question.model_dump_json()}\n" for question in asked))
    qrels = {question.question_id: question.judgements for question in asked}
    return Corpus(folder / "videos", read_questions(folder / "questions.jsonl"), qrels)


def wikivideo(folder: Path) -> Corpus:
    """WikiVideo's topics with their claims as references. Its videos lie in FOLDER/videos."""
    needs("wikivideo", folder, "final_data.json")
    found = read_wikivideo(folder / "final_data.json")
    references = {
        topic: Reference(
            query_id=topic,
            question=text,
            answerable=True,
            claims=tuple(
                ReferenceClaim(text=claim, videos=tuple(sorted(found.claims[topic][number])))
                for number, claim in found.claim_texts[topic].items()
            ),
        )
        for topic, text in found.queries.items()
    }
    return Corpus(folder / "videos", Questions(references, {}), found.qrels)


def multivent2(folder: Path) -> Corpus:
    """MultiVENT 2.0's training queries, as the judgements of its test queries are not published. It has no answers."""
    needs("multivent2", folder, "multivent_2_train_queries.csv", "multivent_2_train_judgments.jsonl")
    texts = read_multivent_queries(folder / "multivent_2_train_queries.csv")
    references = {query: Reference(query_id=query, question=text, answerable=True) for query, text in texts.items()}
    judged = load_qrels(folder / "multivent_2_train_judgments.jsonl")
    return Corpus(folder / "videos" / "train", Questions(references, {}), judged.qrels)


def needs(corpus: str, folder: Path, *files: str) -> None:
    """Stop, with what to download, unless these files of a published corpus are there and whole."""
    states = {state.path: state for state in check_corpus(corpus, folder)}
    faults = [f"{file} is {states[file].state}" for file in files if states[file].state != "present"]
    if faults:
        sys.exit(f"{folder}: {'; '.join(faults)}. Download from {get_corpus(corpus).source}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
