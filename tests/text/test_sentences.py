"""Sentences of plain text."""

import pytest

from rankvideo_rag.text import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["It rains.", "It is cold!", "Is it?", "Yes."],
        ["Dr. Smith met Mrs. Jones.", "They left."],
        ["J. K. Rowling wrote it.", "She was at the U.S. Army base."],
        ["We meet at 5 p.m. on Monday.", "Bring e.g. a coat."],
        ["It starts at 9 a.m.", "The doors open early."],
        ["It weighs 3.5 kg, or 1.000,5 g.", "No. 5 is red."],
        ["Nobody likes plan B.", "It failed."],
        ["Well... that is odd.", "I think... I know."],
        ["Es war ... kalt.", "Am 3. Mai kam z. B. Frau Dr. Klein, d.h. die Ärztin."],
        ["»Halt!«, rief er.", "„Warum?“ fragte sie.", "Er schwieg."],
        ['She said, "Go home."', "We went."],
        ["Das waren ca. 40 Stück.", "Sie kosteten 25."],
        ["¿Cómo está el Sr. López?", "¡Bien!", "¿Y usted?"],
        ["When does it leave?", "nobody knows."],
        ["Die Firma zahlte 3 Mio. Euro.", "Er wohnt in der Berliner Str.", "Die Miete stieg."],
        ["They live in St. Ives.", "The shop is in Main St.", "It is shut."],
        ["Meet Mr. More and Dr. No.", "It is 5 mm.", "Nobody came."],
        ["1. Preheat the oven.", "2. Mix the flour."],
        ["他说：“你好。”", "然后走了。", "真的吗？", "对！"],
        ["等等……他来了。", "好。"],
        ["「行く。」と言った。", "そして出た。"],
        ["रोज़ चलना अच्छा है।", "डॉक्टर यही कहते हैं॥"],
        ["أين المكتبة؟", "هنا."],
        ["این چیست؟", "کتاب است۔"],
        ["it rains.", "we stay in."],
        ["The iPhone 4.", "It was new."],
    ],
)
def test_sentences_of_many_languages(sentences: list[str]) -> None:
    wide = any("\u3000" <= letter <= "\u9fff" for letter in sentences[0])
    assert split_sentences(("" if wide else " ").join(sentences)) == sentences


def test_text_without_letters_has_no_sentence() -> None:
    assert split_sentences(" \n ") == []


@pytest.mark.timeout(60)  # seconds for what takes less than one: quadratic time would take hours
def test_hostile_text_is_split_in_bounded_time() -> None:
    for text in (". " * 50_000, "a." * 100_000, "…" * 200_000, "“" * 200_000, "A. B. " * 10_000):
        assert split_sentences(text)
