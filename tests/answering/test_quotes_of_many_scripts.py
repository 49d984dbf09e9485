"""Quotes in languages of many scripts: what search finds answers too, with the time of its own words."""

import pytest
from support.answering import clip, said

from rankvideo_rag.answering.extractive import quote_evidence


@pytest.mark.parametrize(
    ("question", "sentence", "other"),
    [
        ("望远镜", "望远镜放在洁净室里。", "渔民出海了。"),
        ("望远镜在哪里？", "望远镜放在洁净室里。", "渔民出海了。"),
        ("望遠鏡はどこにありますか", "望遠鏡はクリーンルームにあります。", "漁師は港を出ました。"),
        ("망원경은 어디에 있습니까?", "망원경은 청정실에 있습니다.", "어부들은 떠났습니다."),
        ("กล้องโทรทรรศน์อยู่ที่ไหน", "กล้องโทรทรรศน์อยู่ในห้องสะอาด", "ชาวประมงออกเรือ"),
        ("Işık kulesi nerede?", "IŞIK KULESİ limanın yanında.", "Balıkçılar gitti."),
        ("Kính viễn vọng ở đâu?", "Kính viễn vọng ở trong phòng sạch.", "Ngư dân rời bến."),
        ("أين التلسكوب؟", "وُضع تلسكوب في الغرفة.", "غادر الصيادون."),
        ("दूरबीन कहाँ है?", "दूरबीन स्वच्छ कक्ष में है।", "मछुआरे निकल गए।"),
        ("Wovon wird ein Hochmoor gespeist?", "Ein Hochmoor wird allein vom Regen gespeist.", "Wie wird das Wetter?"),
    ],
)
def test_a_question_in_any_script_is_answered_by_its_sentence(question: str, sentence: str, other: str) -> None:
    answer = quote_evidence(question, [clip(1, said(other, 0, 3), said(sentence, 3, 6))])
    assert [(c.quote, c.start, c.end) for c in answer.citations] == [(sentence, 3.0, 6.0)]


def test_a_quote_of_captions_without_stops_has_the_time_of_its_own_cue() -> None:
    cues = [
        ("alpha crane lifts the beam", 0, 3),
        ("the library has nine thousand maps", 6, 9),
        ("omega barge sinks slowly", 27, 30),
    ]
    answer = quote_evidence("what sinks slowly omega barge", [clip(1, *[said(*cue) for cue in cues])])
    assert [(c.quote, c.start, c.end) for c in answer.citations] == [("omega barge sinks slowly", 27.0, 30.0)]
