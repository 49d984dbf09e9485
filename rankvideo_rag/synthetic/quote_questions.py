"""Labelled questions about spoken and written sentences of the synthetic data set, for fitting the weights of quotes."""

from collections import Counter
from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.extractor import Extractor
from rankvideo_rag.answering.questions import analyse_question
from rankvideo_rag.eval.answers.quote_fit import LabelledQuestion
from rankvideo_rag.eval.benchmarks.quotes import label_candidates
from rankvideo_rag.ranking.passage_scorer import load_passage_scorer
from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.term_statistics import TermStatistics
from rankvideo_rag.synthetic.facts import written_facts, written_signs
from rankvideo_rag.text import query_terms, text_terms

_OTHERS = 4  # sentences that a question is asked of as well as its own


class _Sentence(NamedTuple):
    question: str
    text: str
    answer: str
    channel: TextChannel


def labelled_questions(settings: Settings) -> list[LabelledQuestion]:
    """Return questions about spoken and written sentences of the synthetic data set, with and without their own sentence.

    The other sentences are those that share most with the question.
    """
    spoken = [_Sentence(one.question, " ".join(one.sentences), one.sentences[0], "speech") for one in written_facts()]
    shown = [_Sentence(one.question, one.text, one.text, "on_screen") for one in written_signs()]
    items = [*spoken, *shown]
    statistics = TermStatistics(len(items), Counter(term for item in items for term in text_terms(item.text)))
    cross_encoder = None
    if settings.cross_encoder != "none":
        cross_encoder = load_passage_scorer(settings.cross_encoder, settings.cross_encoder_model, device=settings.device)
    extractor = Extractor(term_statistics=lambda terms: statistics, cross_encoder=cross_encoder)
    return [
        _synthetic(item, _similar(item, items, statistics), extractor, answerable=answerable, group=f"synthetic {number % 6}")
        for number, item in enumerate(items)
        for answerable in (True, False)
    ]


def _similar(item: _Sentence, items: Sequence[_Sentence], statistics: TermStatistics) -> list[_Sentence]:
    asked = frozenset(query_terms(item.question))
    others = [one for one in items if one.answer != item.answer]
    return sorted(others, key=lambda one: -sum(map(statistics.idf, asked & set(text_terms(one.text)))))


def _synthetic(
    item: _Sentence, others: Sequence[_Sentence], extractor: Extractor, *, answerable: bool, group: str
) -> LabelledQuestion:
    pieces = [item, *others[:_OTHERS]] if answerable else others[: _OTHERS + 1]
    measured = extractor.measure(analyse_question(item.question), list(starmap(_evidence, enumerate(pieces, start=1))))
    right = [one.evidence.number == 1 and answerable and item.answer in one.candidate.text for one in measured]
    return label_candidates(group, answerable, measured, right)


def _evidence(number: int, piece: _Sentence) -> Evidence:
    span = TextSpan(channel=piece.channel, text=piece.text, start=0.0, end=6.0, source="synthetic")
    return Evidence(number, f"video {number}", f"/{number}.mp4", "clip", 0.0, 10.0, (span,))
