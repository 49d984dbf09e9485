"""The language of short texts."""

import pytest

from rankvideo_rag.text import language_of


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["Who pays for the car park?", "the old pier closes", "What is the die made of?"]),
        ("de", ["Wovon wird ein Hochmoor gespeist?", "Wer baute die Orgel?", "Größe"]),
        ("es", ["¿Cuánto cuesta el seguro?", "Qué días habrá menú vegetariano"]),
        ("fr", ["Où est la clé du gymnase ?", "Combien coûte le billet"]),
        ("it", ["Dove sono le chiavi della palestra?", "Quanto costa il biglietto"]),
        ("pt", ["Onde fica o ginásio?", "Quanto custa o seguro não incluído"]),
        ("nl", ["Hoeveel kost het kaartje?", "Waarom is de brug gesloten"]),
        ("tr", ["Köprü nerede?", "bu saat kaç"]),
        ("vi", ["Kính viễn vọng ở đâu?"]),
        ("ru", ["Где ключ?"]),
        ("ar", ["أين المكتبة؟"]),
        ("hi", ["पुल कहाँ है?"]),
        ("ja", ["望遠鏡はどこですか", "クリーンルーム"]),
        ("zh", ["望远镜在哪里？", "D40 的皮带"]),
        ("ko", ["망원경은 어디에"]),
        ("th", ["สะพานอยู่ที่ไหน"]),
        (None, ["", "D40", "?!", "Wiebke Holthusen"]),
    ],
)
def test_the_language_of_short_texts(language: str | None, texts: list[str]) -> None:
    assert [language_of(text) for text in texts] == [language] * len(texts)
