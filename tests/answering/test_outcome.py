"""What becomes of a language model that declines, writes nothing, or fails."""

import logging
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, CompletionResponseGen, MessageRole, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from support.answering import FixedLLM, answer_of, hit

from rankvideo_rag.answering.answers import NOT_ANSWERED
from rankvideo_rag.answering.declining import DECLINED, begins_with_decline
from rankvideo_rag.answering.outcome import NO_ANSWER
from rankvideo_rag.answering.parsing import parse_claims
from rankvideo_rag.answering.verification import QUOTED_INSTEAD
from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.schema import Answer
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer

QUESTION = "When does the ferry to Ostrey leave?"
NODES = [hit("The ferry to Ostrey leaves at nine. It is never late.")]
QUOTE = "“The ferry to Ostrey leaves at nine.” [ferry.mp4 @ 00:00]"
PATHS = [{}, {"streaming": True}, {"evidence_subsets": 3}]


class BrokenLLM(FixedLLM):
    """An LLM that writes its reply and then fails."""

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise RuntimeError("out of memory") from OSError("GPU lost")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        if self.reply:
            yield CompletionResponse(text=self.reply, delta=self.reply)
        self.complete(prompt)


async def answers(llm: FixedLLM, **options: Any) -> list[Answer]:
    """Return the answers by the sync and the async path."""
    synthesizer = VideoAnswerSynthesizer(llm, **options)
    response: Any = synthesizer.synthesize(QUESTION, NODES)
    str(response)
    later: Any = await synthesizer.asynthesize(QUESTION, NODES)
    if options.get("streaming"):
        assert "".join([token async for token in later.async_response_gen()]) == str(response)
    found = [answer_of(response), answer_of(later)]
    assert found[0] == found[1]
    return found


@pytest.mark.parametrize("options", PATHS)
@pytest.mark.parametrize(
    "reply",
    [
        DECLINED,
        "I don't know.",
        "**The provided evidence does not state this** [1].",
        "<think>The ferry leaves at nine [1].</think>\n\nThe evidence does not answer the question.",
        "The clips do not say that. The ferry to Ostrey leaves at nine [1].",
        "Let me see. No clip says when it leaves.",
        '{"claims": []}',
    ],
)
async def test_a_model_that_finds_no_answer_is_not_replaced_by_a_quote(reply: str, options: dict[str, Any]) -> None:
    for answer in await answers(FixedLLM(reply=reply), **options):
        assert (answer.text, answer.answered, answer.llm_status) == (NOT_ANSWERED, False, "declined")
        assert answer.reason == NO_ANSWER
        assert answer.prompt is not None


async def test_an_answer_that_ends_with_what_is_not_said_is_shown() -> None:
    for answer in await answers(FixedLLM(reply="It leaves at nine [1]. The evidence does not say from which pier.")):
        assert answer.text == "It leaves at nine [ferry.mp4 @ 00:00]."
        assert answer.llm_status == "answered"


def test_a_function_call_without_claims_is_a_decline() -> None:
    block = ToolCallBlock(tool_call_id="1", tool_name="CitedAnswer", tool_kwargs={"claims": []})
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[block])
    llm = MockFunctionCallingLLM(response_generator=lambda messages, **options: message)
    assert answer_of(VideoAnswerSynthesizer(llm).synthesize(QUESTION, NODES)).llm_status == "declined"


@pytest.mark.parametrize("options", PATHS)
async def test_a_model_that_fails_is_reported_and_text_is_quoted(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for answer in await answers(BrokenLLM(reply=""), **options):
            assert (answer.text, answer.llm_status) == (QUOTE, "failed")
            error = "the language model failed: RuntimeError: out of memory: GPU lost"
            assert answer.reason == f"{error}; the archive is quoted instead"
    assert error in caplog.text


@pytest.mark.parametrize("options", PATHS)
async def test_an_error_of_the_model_is_raised_on_request(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="out of memory") as caught:
        await answers(BrokenLLM(reply=""), on_error="raise", **options)
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(InputError, match="on_error"):
        VideoAnswerSynthesizer(FixedLLM(reply=""), on_error="ignore")


async def test_a_stream_that_breaks_off_keeps_the_claims_released_until_then() -> None:
    for answer in await answers(BrokenLLM(reply="It leaves at nine [1]. It is never"), streaming=True):
        assert (answer.text, answer.llm_status) == ("It leaves at nine [ferry.mp4 @ 00:00].", "failed")
        assert (answer.reason or "").endswith("out of memory: GPU lost; the answer may be incomplete")


@pytest.mark.parametrize("options", PATHS)
@pytest.mark.parametrize(("reply", "status"), [("", "failed"), ("  \n", "failed"), ("ß§$ &&& 4711", "rejected")])
async def test_nothing_and_garbage_are_told_apart_from_an_answer(reply: str, status: str, options: dict[str, Any]) -> None:
    for answer in await answers(FixedLLM(reply=reply), **options):
        assert (answer.text, answer.llm_status) == (QUOTE, status)
        assert "wrote nothing" in (answer.reason or "") or answer.reason == QUOTED_INSTEAD


def test_without_a_model_its_status_is_unused() -> None:
    assert answer_of(VideoAnswerSynthesizer().synthesize(QUESTION, NODES)).llm_status == "unused"


@pytest.mark.parametrize(
    "written",
    [
        "The evidence does not answer the question.",
        "I don't know.",
        "I don’t know.",
        "I'm sorry, but I cannot answer this question based on the provided evidence.",
        "The provided evidence does not answer the question [1][2].",
        "Based on the evidence, it is not possible to determine who pays.",
        "The transcripts do not mention the car park [1].",
        "None of the clips mention who pays.",
        "There is no information about the car park in the evidence.",
        "No information is given about this.",
        "Not stated.",
        "The answer is not in the evidence.",
        "Unanswerable",
        "The evidence is insufficient to answer.",
        "It is unclear from the evidence who pays.",
        "The video doesn't say who won.",
        "Neither clip says who pays.",
        "There is nothing in the clips about who pays.",
        "I am unable to find the answer.",
        "I could not find this in the clips.",
        "This cannot be determined from the clips.",
        "The context provided doesn't specify the price [1].",
        "We do not have enough information.",
        "The archive does not contain an answer.",
        "The speaker's age is not mentioned in the provided evidence.",
        "The question cannot be answered from this evidence.",
        "Unknown.",
        "N/A",
        "Not enough information",
        "Die Belege beantworten die Frage nicht.",
        "Das weiß ich nicht.",
        "Ich weiß es nicht.",
        "Die Frage kann anhand der Belege nicht beantwortet werden [1].",
        "Aus dem Material geht nicht hervor, wer zahlt.",
        "Dazu gibt es keine Angaben.",
        "Je ne sais pas.",
        "Les preuves ne répondent pas à la question.",
        "Aucune information n'est donnée.",
        "Les extraits ne mentionnent pas le prix [2].",
        "No lo sé.",
        "La evidencia no responde a la pregunta.",
        "No hay información sobre esto.",
        "Las pruebas no indican quién paga [1].",
        "Non lo so.",
        "Le prove non rispondono alla domanda.",
        "Não sei.",
        "As evidências não respondem à pergunta.",
        "Ik weet het niet.",
        "Het bewijs beantwoordt de vraag niet.",
        "我不知道。",
        "证据没有回答这个问题。",
        "提供的片段中没有提到价格[1]。",
        "无法确定。",
        "證據未回答此問題。",
        "わかりません。",
        "証拠は質問に答えていません。",
        "提供された資料には記載されていません。",
        "모르겠습니다.",
        "제공된 자료는 질문에 답하지 않습니다.",
        "Я не знаю.",
        "Доказательства не отвечают на вопрос.",
        "لا أعرف.",
        "الأدلة لا تجيب عن السؤال.",
        "Bilmiyorum.",
        "Kanıtlar soruyu yanıtlamıyor.",
        "Nie wiem.",
        "मुझे पता नहीं।",
    ],
)
def test_declines_are_recognized_in_many_words(written: str) -> None:
    assert begins_with_decline(parse_claims(written))


@pytest.mark.parametrize(
    "written",
    [
        "It leaves at nine [1].",
        "The ferry does not leave at nine [1].",
        "No, the council does not pay for it [2].",
        "There is no evidence of water on the planet [1].",
        "The video does not show the inside of the tent [1].",
        "I cannot help with that.",
        "The speaker says “I don't know” [1].",
        "Nobody answers [2].",
        "“The evidence does not answer the question” is what the judge says [1].",
        "Nine.",
        "He did not mention his name [1].",
        "The ferry was not mentioned in the meeting [1].",
        "Der Hafen ist nicht groß [1].",
        "Die Fähre fährt nicht um neun.",
        "No hay ferry los domingos [1].",
        "Le ferry ne part pas à neuf heures [1].",
        "渡轮不在九点出发[1]。",
        "Unclear weather delays the ferry [2].",
        "Arr, matey, ahoy [1]! Arr [2]!",
        "The transcript of records is not needed [1].",
        "He found no source of water [1].",
        "The museum does not have provided lockers [1].",
        "She has no context for the painting [1].",
        "The court heard no evidence from the driver [1].",
    ],
)
def test_claims_are_not_taken_for_declines(written: str) -> None:
    assert not begins_with_decline(parse_claims(written))
