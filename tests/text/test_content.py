"""Content: questions without the words that only ask, and which of their terms a text contains."""

import pytest

from rankvideo_rag.text import content_tokens, found_terms, query_terms, text_terms


@pytest.mark.parametrize(
    ("question", "content"),
    [
        ("Where's the dryer's belt, and who doesn't use it?", "dryer belt use"),
        ("Wovon wird ein Hochmoor gespeist?", "hochmoor gespeist"),
        ("Wie viele Paare brüteten im vergangenen Jahr?", "paare bruteten vergangenen jahr"),
        ("¿Hasta cuándo se puede pagar el viaje?", "puede pagar viaje"),
        ("¿Cuánto cuesta el té? ¿Donde esta el?", "cuesta te"),  # typed without accents too
        ("Qu'est-ce que l'eau apporte à la tourbière ?", "eau apporte tourbiere"),
        ("Dov'è la chiave della palestra?", "chiave palestra"),
        ("Onde fica a chave do ginásio?", "fica chave ginasio"),
        ("Hoeveel kost het kaartje voor de toren?", "kost kaartje toren"),
        ("Köprü nerede ve ne kadar uzun?", "kopru uzun"),
        ("Cây cầu được xây khi nào?", "cay cau xay"),
        ("Где находится ключ от спортзала?", "находится ключ спортзала"),
        ("أين يقع المتحف؟", "يقع متحف"),
        ("पुल कहाँ है?", "पुल"),
        ("望远镜在哪里？", "望 远 镜"),
        ("城墙有多高？", "城 墙 高"),
        ("这家茶馆叫什么名字吗", "家 茶 馆 叫 名 字"),
        ("我们现在去目的地", "现 在 去 目 的 地"),
        ("望遠鏡はどこにありますか", "望 遠 鏡"),
        ("りんごはいくらですか", "り ん ご"),
        ("망원경은 어디에서 조립했습니까?", "망 원 경 조 립 했"),
        ("สะพานอยู่ที่ไหน", "ส ะ พา น อ ยู่"),
    ],
)
def test_words_that_only_ask_are_left_out(question: str, content: str) -> None:
    # Thai clusters differ in their division from letters: compare without spaces.
    assert "".join(token.word for token in content_tokens(question)) == content.replace(" ", "")


@pytest.mark.parametrize("question", ["Who are you?", "Wer ist das?", "是什么？"])
def test_a_question_of_function_words_keeps_them(question: str) -> None:
    assert len(content_tokens(question)) == len([word for word in question if word.isalpha()]) or content_tokens(question)


def test_words_that_are_function_words_of_another_language_stay() -> None:
    assert [token.word for token in content_tokens("The war on the die, a hat and a man")] == ["war", "die", "hat", "man"]
    assert [token.word for token in content_tokens("War in Ukraine")] == ["war", "ukraine"]
    assert [token.word for token in content_tokens("Wann war der Krieg?")] == ["krieg"]


def test_a_text_contains_words_whatever_their_form() -> None:
    assert found_terms("How old are the stone bridges?", "an old stone bridge") == {"old": True, "stone": True, "bridg": True}
    assert found_terms("Who paid for the car park?", "Next, the car park.") == {"pay": False, "car": True, "park": True}


@pytest.mark.parametrize(
    ("question", "text", "covered"),
    [
        ("望远镜", "望远镜放在洁净室里。", 1.0),
        ("望远镜在哪里？", "望远镜放在洁净室里。", 1.0),
        ("宇宙望遠鏡はどこですか", "宇宙望遠鏡はクリーンルームで組み立てられました。", 1.0),
        ("망원경은 어디에 있습니까?", "우주망원경은 청정실에 있습니다.", 1.0),
        ("กล้องอยู่ที่ไหน", "กล้องอยู่ในห้อง", 1.0),
        ("Diyarbakır surları nerede?", "DİYARBAKIR SURLARI çok uzun.", 1.0),
        ("cầu đá", "Cây cầu đá cổ này.", 1.0),
        ("المكتبة", "تقع مكتبة المدينة هنا", 1.0),
        ("学大", "北京大学", 0.0),
    ],
)
def test_search_and_answers_agree_on_what_a_word_is(question: str, text: str, covered: float) -> None:
    found = found_terms(question, text)
    assert sum(found.values()) / len(found) == covered


def test_terms_of_a_text_are_words_characters_and_pairs() -> None:
    assert text_terms("Rooms 清潔室") == {"room", "清", "潔", "室", "清 潔", "潔 室"}
    assert query_terms("Rooms 清潔室 rooms") == ["room", "清 潔", "潔 室"]
