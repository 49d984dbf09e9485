"""Statements of an answer: read however a model writes them, held to the stored words, told while they are written."""

import asyncio
import doctest
import json
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
    ToolCallBlock,
)
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.schema import NodeWithScore, TextNode
from support import fake_server
from support.answering import FERRY, SIGN, Parrot, clip, said
from support.world import World, asked

from rankvideo_rag.answering import (
    abstention,
    answers,
    budget,
    evidence,
    parsing,
    prompts,
    quotes,
    support,
)
from rankvideo_rag.answering.abstention import calibrate_margin, is_unanswerable
from rankvideo_rag.answering.answers import NOT_ANSWERED
from rankvideo_rag.answering.citations import QUOTED_INSTEAD, VerificationRules, verify_answer
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.evidence_subsets import best, deal
from rankvideo_rag.answering.extractive import extract
from rankvideo_rag.answering.parsing import parse_claims
from rankvideo_rag.answering.quotes import find
from rankvideo_rag.answering.streaming import Teller
from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError, MissingDependency, ModelError
from rankvideo_rag.ranking.windows import Span
from rankvideo_rag.schema import Answer, TextSpan, to_json
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer

WHEN = "When does the ferry to Ostrey leave?"


@pytest.mark.parametrize(
    "module", [abstention, answers, budget, parsing, evidence, prompts, quotes, support], ids=lambda m: m.__name__
)
def test_the_examples_in_docstrings_are_true(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert (result.attempted > 0, result.failed) == (True, 0)


# --- how models write ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("It leaves at nine [1]. It is late [2, 3].", [("It leaves at nine.", [1], []), ("It is late.", [2, 3], [])]),
        ("It leaves at nine. [1] It is late. [2]", [("It leaves at nine.", [1], []), ("It is late.", [2], [])]),
        ("It leaves at nine. It is late [2].", [("It leaves at nine.", [2], []), ("It is late.", [2], [])]),
        ("It leaves at nine [1].\n\nSo they say.", [("It leaves at nine.", [1], []), ("So they say.", [], [])]),
        ("- It leaves at nine [1]\n2. It is late [2]", [("It leaves at nine", [1], []), ("It is late", [2], [])]),
        ("Dr. Wu says: “nine sharp” [1].", [("Dr. Wu says: “nine sharp”.", [1], ["nine sharp"])]),
        ("“It is nine.” [1] So.", [("“It is nine.”", [1], ["It is nine."]), ("So.", [], [])]),
        ("渡船九点出发。[1] 它不晚。[2]", [("渡船九点出发。", [1], []), ("它不晚。", [2], [])]),
        ('{"claims": [{"text": "Nine.", "evidence": [1], "quote": "at nine"}]}', [("Nine.", [1], ["at nine"])]),
        ('Sure:\n```json\n{"claims": [{"claim": "Nine.", "citations": ["[2 @ 00:01]"]}]}\n```', [("Nine.", [2], [])]),
        ('{"claims": [{"text": "Nine.", "evidence": 1}, {"text": "cut sho', [("Nine.", [1], [])]),
        ('{"answer": "It leaves at nine [1]."}', [("It leaves at nine.", [1], [])]),
        ('{"claims": [{"text": 9}, "prose", {"text": "Nine.", "evidence": [null, true, -1]}]}', [("Nine.", [0, 0, 0], [])]),
        ("", []),
    ],
)
def test_statements_are_read_however_they_are_written(written: str, expected: list[tuple[str, list[int], list[str]]]) -> None:
    assert [(d.text, [m.number for m in d.marks], list(d.quotes)) for d in parse_claims(written)] == expected


@pytest.mark.parametrize(
    "written", ["{" * 20_000, '{"a":' * 20_000, "[1]" * 20_000, "[" * 20_000, "“" * 20_000, "[99999999999999999]"]
)
def test_nonsense_of_any_size_is_no_answer(written: str) -> None:
    answer = verify_answer("when?", written, [FERRY])
    assert (answer.text, answer.answered) == (NOT_ANSWERED, False)


def test_what_is_not_read_of_an_endless_answer_is_said() -> None:
    long = verify_answer("when?", "It leaves at nine [1]. " * 60, [FERRY])
    assert len(long.claims) == 1
    assert [claim.text for claim in long.removed_claims] == ["(what came after 50 statements)"]
    longer = verify_answer("when?", "It leaves at nine [1]. " + "and on " * 10_000, [FERRY])
    assert longer.text == "It leaves at nine [Video 1 @ 00:00]."
    assert longer.removed_claims[-1].text == "(what came after 50,000 characters)"


# --- quotes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "stored", "time"),
    [
        ("The ferry to Ostrey leaves at nine.", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),
        ("the FERRY to ostrey … leaves, at nine", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),
        ("the fery to Ostrey leaves at nine", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),  # 1 letter of 33
        ("never late", "never late.", (6.0, 7.0)),
        ("leaves at nine It is never late", "leaves at nine. It is never late.", (4.0, 7.0)),
        ("the ferry to Ostrey leaves at noon", "The ferry to Ostrey leaves at nine.", (2.0, 6.0)),  # 3 of 34
        ("the ferry leaves at noon", None, None),  # 3 of 24
        ("nin", None, None),
        ("…", None, None),
        ("HARBOUR ROAD", None, None),
    ],
)
def test_a_quote_is_found_where_nine_letters_of_ten_agree(
    quote: str, stored: str | None, time: tuple[float, float] | None
) -> None:
    found = find(quote, FERRY)
    assert (found and found.text, found and (found.start, found.end)) == (stored, time)


def brute_force_edits(quote: str, text: str) -> int:
    """The least edits between the quote and any stretch of the text, by the textbook's table."""
    row = [0] * (len(text) + 1)
    for i, letter in enumerate(quote, start=1):
        above, row = row, [i]
        for j, other in enumerate(text, start=1):
            row.append(min(above[j - 1] + (letter != other), above[j] + 1, row[j - 1] + 1))
    return min(row)


@pytest.mark.parametrize("quote", ["fery to ostrey leves at nine", "leaves at nine it was", "to osrey leaves", "ferry at nine"])
def test_a_quote_is_as_similar_as_its_edits_by_brute_force(quote: str) -> None:
    text = " the ferry to ostrey leaves at nine it is never late "
    edits = brute_force_edits(f" {quote} ", text)
    found = find(quote, FERRY)
    assert (found is not None) == (1 - edits / (len(quote) + 2) >= 0.9 - 1e-9)


def test_a_quote_in_a_script_without_spaces_is_found_letter_by_letter() -> None:
    chinese = clip(1, said("渡船九点出发。", 0.0, 3.0))
    found = find("九点出发", chinese)
    assert found is not None
    assert (found.text, found.start, found.end) == ("九点出发。", 0.0, 3.0)
    assert find("十点出发", chinese) is None


def test_a_quote_of_words_that_are_timed_one_by_one_has_their_time() -> None:
    """A word said twice has the time of its own place; one that the recogniser did not time leaves that of its neighbours."""
    words = [("No,", 1.0, 1.2), ("no", 1.4, 1.6), ("ferry", 1.6, 2.0), ("today,", 5.0, 5.5), ("no", 6.0, 6.2)]
    timed = TextSpan(channel="speech", text="No, no ferry at all today, no.", start=0, end=9, source="test", words=words)
    evidence = clip(1, timed, said("Try tomorrow.", 9.0, 10.0))

    def time(quote: str) -> tuple[float, float]:
        found = find(quote, evidence)
        assert found is not None
        return found.start, found.end

    assert time("no ferry") == (1.4, 2.0)
    assert time("no ferry at all today") == (1.4, 5.5)
    assert time("today, no. Try tomorrow.") == (5.0, 10.0)
    assert time("at all") == (0.0, 9.0)


def test_words_of_different_kinds_make_no_quote_together() -> None:
    both = clip(1, said("The ferry", 0.0, 1.0), said("leaves", 0.0, 1.0, "on_screen"))
    assert find("The ferry leaves", both) is None


# --- what holds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "text", "status", "removed"),
    [
        ("They say “leaves at nine” [1].", "They say “leaves at nine” [Video 1 @ 00:04].", "quoted", None),
        (
            "“the ferry to Ostrey leaves at noon” [1].",
            "“The ferry to Ostrey leaves at nine” [Video 1 @ 00:02].",
            "quoted",
            None,
        ),
        ("It leaves at 9 [1].", "It leaves at 9 [Video 1 @ 00:00].", "cited", None),
        ("It departs at nine [1].", None, None, "the words of the clips it cites do not say so"),
        ("It leaves at 11 [1].", None, None, "the words of the clips it cites do not say so"),
        ("It leaves at noon [1].", None, None, "the words of the clips it cites do not say so"),
        ("The ferry to Ostrey leaves [2].", None, None, "the clips it cites are not about the question, and others are"),
        ("It leaves at nine.", None, None, "it cites nothing"),
        ("It leaves at nine [7].", None, None, "none of its citations holds"),
        (
            "They say “the ferry leaves at noon” [1].",
            None,
            None,
            "it quotes words that are not those of the clips it cites",
        ),
        ("It says “HARBOUR ROAD 17” [1].", None, None, "it quotes words that are not those of the clips it cites"),
    ],
)
def test_a_statement_is_shown_when_its_words_hold(
    written: str, text: str | None, status: str | None, removed: str | None
) -> None:
    answer = verify_answer(WHEN, written, [FERRY, SIGN])
    if removed is None:
        assert (answer.claims[0].status, answer.text) == (status, text)
        assert answer.removed_claims == ()
    else:
        assert [claim.reason for claim in answer.removed_claims] == [removed]
        assert answer.reason == QUOTED_INSTEAD
        assert answer.text == "“The ferry to Ostrey leaves at nine.” [Video 1 @ 00:02]"


def test_where_only_the_quote_holds_it_takes_the_place_of_the_statement() -> None:
    answer = verify_answer(
        WHEN, '{"claims": [{"text": "Die Fähre fährt um neun.", "evidence": [1], "quote": "leaves at nine"}]}', [FERRY]
    )
    assert answer.text == "“leaves at nine.” [Video 1 @ 00:04]"
    assert answer.citations[0].channel == "speech"
    assert answer.removed_claims[0].text == "Die Fähre fährt um neun."


def test_a_statement_that_does_not_hold_can_be_marked_instead() -> None:
    written = "It leaves at nine [1]. It is red [1]. Everybody knows."
    answer = verify_answer("when?", written, [FERRY], VerificationRules(unsupported="mark"))
    assert answer.text == (
        "It leaves at nine [Video 1 @ 00:00]. It is red (not supported) [Video 1 @ 00:00]. Everybody knows (not supported)."
    )
    assert [claim.status for claim in answer.claims] == ["cited", "unsupported", "unsupported"]
    alone = verify_answer("when?", "It is red [1].", [FERRY], VerificationRules(unsupported="mark"))
    assert (alone.text, alone.claims) == (NOT_ANSWERED, ())


def test_what_a_model_saw_is_shown_as_seen_where_it_was_shown_pictures() -> None:
    relevant, irrelevant = clip(1, margin=2.0), clip(2, start=30, end=60, margin=-2.0)
    written = "A red disc rolls [1]. A blue disc rolls [2]."
    rules = VerificationRules(pictured=frozenset({1, 2}))
    answer = verify_answer("what rolls?", written, [relevant, irrelevant], rules)
    assert answer.text == "A red disc rolls (seen) [Video 1 @ 00:00]."
    assert [(claim.status, claim.support) for claim in answer.claims] == [("seen", None)]
    assert answer.citations[0].channel == "visual"
    blind = verify_answer("what rolls?", written, [relevant, irrelevant])
    assert blind.text == "Seen in [Video 1 @ 00:00]."  # what RankVideo found, not what the model says
    assert blind.reason == QUOTED_INSTEAD


def test_evidence_that_a_model_passes_over_is_added() -> None:
    other = clip(3, said("The ferry to Ostrey leaves at ten in May.", 1.0, 5.0))
    answer = verify_answer(WHEN, "The ferry to Ostrey leaves at nine [1].", [FERRY, SIGN, other])
    assert answer.text == (
        "The ferry to Ostrey leaves at nine [Video 1 @ 00:00]. “The ferry to Ostrey leaves at ten in May.” [Video 3 @ 00:01]"
    )


def test_support_is_the_share_of_a_statements_terms_that_the_words_hold() -> None:
    # leaves and nine of leaves, nine and quay; both of leaves and nine.
    answer = verify_answer("when?", "It leaves the quay at nine [1]. It leaves at nine [1]. It is red [1].", [FERRY])
    assert [claim.support for claim in answer.claims] == [pytest.approx(2 / 3), 1.0]
    assert answer.support == pytest.approx((2 / 3 + 1.0 + 0.0) / 3)


# --- over a whole archive --------------------------------------------------------------------------------------------


def test_every_quote_of_the_extractive_answers_stands_in_the_words_of_its_span(world: World) -> None:
    signs = {c.stem: said(c.sign, 0.0, c.seconds, "on_screen") for c in world.clips if c.sign}
    stem_of: dict[str, str] = {}

    def words(video_id: str, start: float, end: float) -> Sequence[Any]:
        sign = signs.get(stem_of[video_id])
        return [*([sign] if sign else []), *archive.store.spans(video_id, start, end)]

    with VideoArchive.open(world.archive, reranker="none") as archive:
        stem_of |= {video_id: video.title for video_id, video in archive.store.videos().items()}
        every = [archive.store.clips(range(1, 100))[i] for i in archive.store.clips(range(1, 100))]
        nodes = [
            NodeWithScore(
                node=TextNode(
                    text="-",
                    metadata={
                        "video_id": c.video_id,
                        "file_path": f"/{stem_of[c.video_id]}.mp4",
                        "start": c.start,
                        "end": c.end,
                    },
                )
            )
            for c in every
        ]
        synthesizer = VideoAnswerSynthesizer(words=words)
        questions = asked(world, "speech") + asked(world, "on_screen")
        assert len(questions) >= 4
        for question in questions:
            answer = Answer.model_validate((synthesizer.synthesize(question.text, nodes).metadata or {})["answer"])
            assert answer.answered, question.text
            for citation in answer.citations:
                stored = [s for s in words(citation.video_id, citation.start, citation.end) if s.channel == citation.channel]
                assert citation.quote is not None
                assert citation.quote in " ".join(span.text for span in stored)
                assert min(s.start for s in stored) <= citation.start < citation.end <= max(s.end for s in stored)
            best_clip = answer.citations[0]
            assert stem_of[best_clip.video_id] in question.judgements


# --- when the archive does not answer --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margins", "least", "silent"),
    [([-2.0, -0.5], 0.0, True), ([-2.0, 0.5], 0.0, False), ([-2.0, 0.5], 1.0, True), ([-2.0, None], 0.0, False)],
)
def test_judged_clips_below_the_threshold_do_not_answer(margins: list[float | None], least: float, silent: bool) -> None:
    shown = [clip(number, margin=margin) for number, margin in enumerate(margins, start=1)]
    assert is_unanswerable("a red disc", shown, min_margin=least) is silent


def test_no_model_is_asked_where_the_archive_does_not_answer_and_it_is_said_why() -> None:
    llm = Parrot(says="It is a red disc [1].")
    response = VideoAnswerSynthesizer(llm, min_margin=1.0).synthesize("a red disc", [hit("", rerank_score=0.4)])
    answer = Answer.model_validate((response.metadata or {})["answer"])
    assert (answer.text, llm.heard) == (NOT_ANSWERED, [])
    assert answer.reason == "no words of the 1 clips hold half of what is asked, and the best margin, +0.40, is below +1.00"


def test_a_model_in_the_mood_to_refuse_does_not_decide() -> None:
    response = VideoAnswerSynthesizer(Parrot(says="I do not know.")).synthesize(
        WHEN, [hit("The ferry to Ostrey leaves at nine.")]
    )
    answer = Answer.model_validate((response.metadata or {})["answer"])
    assert answer.text == "“The ferry to Ostrey leaves at nine.” [ferry.mp4 @ 00:00]"
    assert answer.reason == QUOTED_INSTEAD


@pytest.mark.parametrize(
    ("margins", "answerable", "max_error", "threshold"),
    [
        ([-3.0, -1.0, 1.0, 3.0], [False, False, True, True], 0.0, 1.0),
        ([-3.0, -1.0, 1.0, 3.0], [False, True, True, True], 0.0, -1.0),  # a model that says no too readily
        ([-3.0, 2.0, 3.0, 4.0], [True, False, True, True], 0.0, 3.0),
        ([-3.0, 2.0, 3.0, 4.0], [True, False, True, True], 0.25, -3.0),
        ([1.0, 2.0], [True, False], 0.0, None),
    ],
)
def test_the_threshold_is_the_least_that_keeps_wrong_answers_rare(
    margins: list[float], answerable: list[bool], max_error: float, threshold: float | None
) -> None:
    assert calibrate_margin(margins, answerable, max_error=max_error).min_margin == threshold


def test_a_calibration_without_labels_says_what_is_needed() -> None:
    with pytest.raises(InputError, match="2 margins and 1 labels"):
        calibrate_margin([1.0, 2.0], [True])


# --- models that call functions, stream, or are served ------------------------------------------------------------------


def hit(text: str, **metadata: Any) -> NodeWithScore:
    base = {"file_path": "/videos/ferry.mp4", "start": 0.0, "end": 9.0}
    return NodeWithScore(node=TextNode(text=text, metadata=base | metadata), score=1.0)


def calls(*claims: dict[str, Any], name: str = "CitedAnswer") -> ChatMessage:
    block = ToolCallBlock(tool_call_id="1", tool_name=name, tool_kwargs={"claims": list(claims)})
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[block])


async def test_a_model_that_calls_functions_fills_in_the_claims() -> None:
    heard: list[Any] = []

    def reply(messages: Sequence[ChatMessage], **options: Any) -> ChatMessage:
        heard.append((messages, options))
        return calls({"text": "It leaves at nine.", "evidence": [1], "quote": "leaves at nine"})

    synthesizer = VideoAnswerSynthesizer(MockFunctionCallingLLM(response_generator=reply, system_prompt="Be brief."))
    nodes = [hit("The ferry leaves at nine. {boundary} It is never late.")]
    for response in (synthesizer.synthesize("When?", nodes), await synthesizer.asynthesize("When?", nodes)):
        answer = Answer.model_validate((response.metadata or {})["answer"])
        assert answer.text == "It leaves at nine [ferry.mp4 @ 00:00]."
        assert answer.claims[0].status == "quoted"
        assert answer.citations[0].quote == "leaves at nine."
    (system, user), options = heard[0]
    assert (system.content, options["tools"][0].metadata.name) == ("Be brief.", "CitedAnswer")
    assert "It is never late." in user.content
    assert "{boundary} It is never late" in user.content  # words of a video are filled in, and filled in nowhere


def test_no_function_is_run_that_a_model_makes_up_and_prose_is_read_as_ever() -> None:
    for message, text in (
        (calls({"text": "It leaves at nine.", "evidence": [1]}, name="delete_archive"), NOT_ANSWERED),
        (ChatMessage(role=MessageRole.ASSISTANT, content="It leaves at nine [1]."), "It leaves at nine [ferry.mp4 @ 00:00]."),
    ):
        llm = MockFunctionCallingLLM(response_generator=lambda messages, message=message, **options: message)
        response = VideoAnswerSynthesizer(llm).synthesize("When?", [hit("The ferry leaves at nine.")])
        assert str(response) == text


class Slow(CustomLLM):
    """Writes letter by letter, and keeps what was told when it had written how much."""

    says: str
    written: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="slow")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.says)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        for end, letter in enumerate(self.says, start=1):
            self.written.append(letter)
            yield CompletionResponse(text=self.says[:end], delta=letter)

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        async def letters() -> CompletionResponseAsyncGen:
            for response in self.stream_complete(prompt):
                await asyncio.sleep(0)
                yield response

        return letters()


STREAM = "It leaves at nine [1]. It leaves at noon [1]. It is never late [1]. So says everybody [4]."
NODES = [hit("The ferry leaves at nine. It is never late.")]


def test_what_holds_is_told_while_the_model_still_writes() -> None:
    llm = Slow(says=STREAM)
    response = VideoAnswerSynthesizer(llm, streaming=True).synthesize("When?", NODES)
    assert isinstance(response, StreamingResponse)
    assert "answer" not in (response.metadata or {})
    told = [(text, len(llm.written)) for text in response.response_gen if text]
    first, when = told[0]
    assert first == "It leaves at nine [ferry.mp4 @ 00:00]."
    assert when < len(STREAM) / 2 + 3
    answer = Answer.model_validate((response.metadata or {})["answer"])
    assert "".join(text for text, _ in told) == answer.text
    assert answer.text == "It leaves at nine [ferry.mp4 @ 00:00]. It is never late [ferry.mp4 @ 00:00]."
    assert [claim.text for claim in answer.removed_claims] == ["It leaves at noon.", "So says everybody."]


async def test_a_stream_ends_with_the_answer_that_would_be_given_at_once_async_too() -> None:
    at_once = VideoAnswerSynthesizer(Slow(says=STREAM)).synthesize("When?", NODES)
    streamed = await VideoAnswerSynthesizer(Slow(says=STREAM), streaming=True).asynthesize("When?", NODES)
    assert isinstance(streamed, AsyncStreamingResponse)
    text = "".join([token async for token in streamed.async_response_gen()])
    assert isinstance(at_once, Response)
    assert text == at_once.response
    assert (streamed.metadata or {})["answer"] == (at_once.metadata or {})["answer"]


@pytest.mark.parametrize(
    "written",
    [
        STREAM,
        "Everybody knows. It leaves at nine. [1] [1] It is red [1]. It is never late. [1]\n- It leaves at nine [1]",
        json.dumps({"claims": [{"text": "It leaves at nine.", "evidence": [1]}, {"text": "It is red.", "evidence": [1]}]}),
        'Here: ```json\n{"claims": [{"text": "It leaves at nine.", "evidence": [1]}]}\n```',
        "I do not know.",
    ],
)
@pytest.mark.parametrize("unsupported", ["drop", "mark"])
def test_what_was_told_is_the_beginning_of_the_answer_wherever_the_tokens_are_cut(written: str, unsupported: Any) -> None:
    rules = VerificationRules(unsupported=unsupported)
    expected = verify_answer("When?", written, [FERRY], rules)
    for size in (1, 3, 10, 1000):
        teller = Teller("When?", [FERRY], [FERRY], rules)
        told = "".join(teller.hear(written[i : i + size]) for i in range(0, len(written), size))
        ending = teller.end()
        assert told + ending.rest == ending.answer.text == expected.text
        assert ending.answer == expected


def test_a_query_engine_streams(world: World) -> None:
    with VideoArchive.open(world.archive, reranker="none") as archive:
        question = asked(world, "speech")[0]
        synthesizer = archive.as_synthesizer(Slow(says="I do not know."), streaming=True)
        response = archive.as_query_engine(response_synthesizer=synthesizer).query(question.text)
        assert str(response).startswith("“")
        assert (response.metadata or {})["answer"]["answered"]


def test_a_served_model_answers_over_http() -> None:
    from rankvideo_rag.answering.openai_like import load_openai_like

    def says(handler: fake_server.Handler, request: Any) -> bool:
        reply = fake_server.completion(request, margin=0.0)
        reply["choices"][0]["message"]["content"] = "It leaves at nine [1]. It is red [2]."
        handler.answer(reply)
        return True

    with fake_server.serving(says) as server:
        address = server.address.removesuffix("#tiny")
        try:
            llm = load_openai_like(address)
        except MissingDependency as error:
            pytest.skip(str(error))
        response = VideoAnswerSynthesizer(llm).synthesize("When?", NODES)
        assert str(response) == "It leaves at nine [ferry.mp4 @ 00:00]."
        assert server.requests[0]["model"] == "tiny"
    with pytest.raises(ModelError, match=r"no model is served at http://127\.0\.0\.1:9"):
        load_openai_like("http://127.0.0.1:9/v1")


# --- plans -----------------------------------------------------------------------------------------------------------


def test_plans_are_all_clips_together_and_hands_that_share_none() -> None:
    clips = [clip(number) for number in range(1, 6)]

    def numbers(plans: int, of: list[Evidence] = clips) -> list[list[int]]:
        return [[piece.number for piece in plan] for plan in deal(of, plans)]

    assert numbers(1) == [[1, 2, 3, 4, 5]]
    assert numbers(2) == [[1, 2, 3, 4, 5], [1, 3, 5]]
    assert numbers(3) == [[1, 2, 3, 4, 5], [1, 3, 5], [2, 4]]
    assert numbers(9) == [[1, 2, 3, 4, 5], [1], [2], [3], [4], [5]]
    assert numbers(3, clips[:1]) == [[1]]


def test_the_best_supported_answer_is_given() -> None:
    weak = verify_answer("when?", "It leaves the quay at nine [1]. It is red [1].", [FERRY])
    strong = verify_answer("when?", "It leaves at nine [1].", [FERRY])
    none = verify_answer("when?", "It is red [1].", [FERRY])
    assert best([none, weak, strong], [FERRY]) is strong
    assert best([none, weak], [FERRY]) is weak
    near, far = (strong.model_copy(update={"citations": (c.cite(),)}) for c in (clip(1, margin=2.0), clip(2, margin=1.0)))
    assert best([far, near], [clip(1, margin=2.0), clip(2, margin=1.0)]) is near


class Swayed(CustomLLM):
    """Believes the clip called Rumour where it sees it, else what stands in clip 1."""

    heard: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="swayed")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.heard.append(prompt)
        return CompletionResponse(
            text="It left at noon [2]. It is red [2]." if "Rumour" in prompt else "It leaves at nine [1]."
        )

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        yield self.complete(prompt)


async def test_a_clip_that_misleads_spoils_only_the_plans_that_hold_it() -> None:
    nodes = [
        hit("The ferry leaves at nine.", title="Ferries", video_id="f"),
        hit("They talk.", title="Rumour", video_id="r", file_path="/videos/rumour.mp4"),
    ]
    alone = VideoAnswerSynthesizer(Swayed()).synthesize("When?", nodes)
    assert str(alone) == NOT_ANSWERED
    llm = Swayed()
    synthesizer = VideoAnswerSynthesizer(llm, evidence_subsets=3)
    for response in (synthesizer.synthesize("When?", nodes), await synthesizer.asynthesize("When?", nodes)):
        assert str(response) == "It leaves at nine [Ferries @ 00:00]."
    assert len(llm.heard) == 6
    with pytest.raises(InputError, match="no llm"):
        VideoAnswerSynthesizer(evidence_subsets=3)


# --- what programs get -----------------------------------------------------------------------------------------------


def test_programs_get_the_claims_with_places_in_the_citations_and_no_text_that_was_removed() -> None:
    answer = verify_answer(WHEN, "“leaves at nine” [1]. It is red [1]. So [9].", [FERRY, SIGN])
    contract = to_json(answer, [])
    assert contract["claims"] == [
        {"text": "“leaves at nine”.", "status": "quoted", "support": 1.0, "reason": None, "citations": [0]}
    ]
    assert contract["citations"][0] == {
        "video_id": "v1",
        "path": "/videos/v1.mp4",
        "start": 4.0,
        "end": 6.0,
        "quote": "leaves at nine.",
    }
    assert len(contract["removed_claims"]) == 2
    assert "It is red" not in json.dumps(contract)


def test_the_answer_without_a_model_has_claims_too() -> None:
    answer = extract(WHEN, [FERRY, SIGN])
    assert [(claim.status, claim.support) for claim in answer.claims] == [("quoted", 1.0)]
    assert answer.claims[0].citations == answer.citations
    seen = extract("a red disc", [clip(1, margin=2.0)._replace(seen=Span(12.0, 18.0))])
    assert [(claim.status, claim.citations[0].channel) for claim in seen.claims] == [("seen", "visual")]
