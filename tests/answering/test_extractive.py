"""Answers without a language model quote the evidence."""

from collections.abc import Sequence
from typing import Any

import pytest
from support.answering import FERRY, SIGN, answer_of, clip, hit, said
from support.world import World, asked

from rankvideo_rag.answering.answers import NOT_ANSWERED
from rankvideo_rag.answering.extractive import quote_evidence
from rankvideo_rag.answering.extractor import Extractor
from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.ranking.windows import Span
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


def test_the_matching_sentence_is_quoted_with_its_own_time() -> None:
    answer = quote_evidence("When does the ferry to Ostrey leave?", [SIGN, FERRY])
    assert answer.answered
    assert answer.text == "“The ferry to Ostrey leaves at nine.” [Video 1 @ 00:02]"
    (citation,) = answer.citations
    assert (citation.video_id, citation.quote) == ("v1", "The ferry to Ostrey leaves at nine.")
    assert (citation.start, citation.end) == (2.0, pytest.approx(5.429))  # type: ignore[comparison-overlap]


def test_a_question_about_a_sign_is_answered_by_on_screen_text() -> None:
    answer = quote_evidence("Which number does the sign for Harbour Road show?", [FERRY, SIGN])
    assert [c.quote for c in answer.citations] == ["HARBOUR ROAD 17"]


def test_relevant_frames_are_cited_by_the_window_that_was_scored() -> None:
    whole = clip(1, margin=2.0)
    seen = whole._replace(window=Span(12.0, 18.0))
    assert [(c.start, c.end) for c in quote_evidence("a red disc", [whole]).citations] == [(0.0, 30.0)]
    assert [(c.start, c.end) for c in quote_evidence("a red disc", [seen]).citations] == [(12.0, 18.0)]
    assert "seen to be relevant @ 00:12-00:18" in seen.format()
    assert "seen to be relevant" not in seen._replace(margin=-2.0).format()


def test_a_quarter_of_the_terms_is_too_few_to_quote() -> None:
    answer = quote_evidence("Who won the road race of 1998?", [FERRY, SIGN])
    assert (answer.text, answer.answered, answer.citations) == (NOT_ANSWERED, False, ())


def test_without_matching_text_the_relevant_clips_are_named() -> None:
    shown = [clip(1, margin=3.2), clip(2, start=10, end=20, margin=0.5), clip(3, margin=-1.0), clip(4)]
    answer = quote_evidence("a red circle moving left", shown)
    assert answer.text == "Seen in [Video 1 @ 00:00], [Video 2 @ 00:10]."
    assert [c.quote for c in answer.citations] == [None, None]


def test_the_same_sentence_in_two_clips_is_quoted_once_from_the_better_one() -> None:
    again = FERRY._replace(number=2, video_id="v2", title="Video 2")
    assert [c.video_id for c in quote_evidence("When does the ferry to Ostrey leave?", [FERRY, again]).citations] == ["v1"]


def test_extractive_answers_have_claims() -> None:
    answer = quote_evidence("When does the ferry to Ostrey leave?", [FERRY, SIGN])
    assert [(claim.status, claim.support) for claim in answer.claims] == [("quoted", 1.0)]
    assert answer.claims[0].citations == answer.citations
    seen = quote_evidence("a red disc", [clip(1, margin=2.0)._replace(window=Span(12.0, 18.0))])
    assert [(claim.status, claim.citations[0].channel) for claim in seen.claims] == [("seen", "visual")]


def test_every_quote_over_an_archive_occurs_in_the_text_of_its_span(world: World) -> None:
    signs = {c.stem: said(c.sign, 0.0, c.seconds, "on_screen") for c in world.clips if c.sign}
    stem_of: dict[str, str] = {}

    def text_lookup(video_id: str, start: float, end: float) -> Sequence[Any]:
        sign = signs.get(stem_of[video_id])
        return [*([sign] if sign else []), *archive.store.spans(video_id, start, end)]

    with VideoArchive.open(world.archive, reranker="none") as archive:
        stem_of |= {video_id: video.title for video_id, video in archive.store.videos().items()}
        nodes = [
            hit("-", f"/{stem_of[c.video_id]}.mp4", video_id=c.video_id, start=c.start, end=c.end)
            for c in archive.store.clips(range(1, 100)).values()
        ]
        # The clips are in no order of relevance, which the fitted probabilities count on.
        synthesizer = VideoAnswerSynthesizer(text_lookup=text_lookup, extractor=Extractor(min_probability=0.2))
        questions = asked(world, "speech") + asked(world, "on_screen")
        assert len(questions) >= 4
        for question in questions:
            answer = answer_of(synthesizer.synthesize(question.text, nodes))
            assert answer.answered, question.text
            for citation in answer.citations:
                stored = [
                    s for s in text_lookup(citation.video_id, citation.start, citation.end) if s.channel == citation.channel
                ]
                assert citation.quote is not None
                assert citation.quote in " ".join(span.text for span in stored)
                assert min(s.start for s in stored) <= citation.start < citation.end <= max(s.end for s in stored)
            best_clip = answer.citations[0]
            assert stem_of[best_clip.video_id] in question.judgements
