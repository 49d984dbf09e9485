"""Tokens: what a word is, where it stands, and its stem."""

import pytest

from rankvideo_rag.text import split_words, stem, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Ferry, at 9:30", ["the", "ferry", "at", "9", "30"]),
        ("snake_case", ["snake", "case"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("Diyarbakır DİYARBAKIR", ["diyarbakir", "diyarbakir"]),  # Turkish i without and with a dot
        ("Điện thoại", ["dien", "thoai"]),
        ("الْمَكْتَبَةُ ومكتبة", ["مكتبه", "ومكتبه"]),
        ("رقم ٤٢", ["رقم", "42"]),
        ("रोज़ १२ किलो।", ["रोज", "12", "किलो"]),
        ("第３章", ["第", "3", "章"]),
        ("ｶﾞｽ", ["ガ", "ス"]),
        ("น้ำแข็ง", ["น\u0e49\u0e4d\u0e32", "แข็", "ง"]),
        ("한국어", ["한", "국", "어"]),
        ("\u1112\u1161\u11ab", ["한"]),  # written as letters
        ("½ kg", ["1", "2", "kg"]),
        ("x\u00adylo\u200bphone", ["xylophone"]),
        ("?! 🦊 ـ", []),
    ],
)
def test_words_of_many_scripts(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_a_token_knows_its_place_in_the_text() -> None:
    text = "Ｃａｆｅ\u0301 «Œuvre»: 清潔 ½"
    pieces = [(token.word, text[token.start : token.end], token.dense) for token in tokenize(text)]
    assert pieces == [
        ("cafe", "Ｃａｆｅ\u0301", False),
        ("oeuvre", "Œuvre", False),
        ("清", "清", True),
        ("潔", "潔", True),
        ("1", "½", False),
        ("2", "½", False),
    ]


@pytest.mark.parametrize(
    ("word", "other"),
    [("rooms", "room"), ("universities", "university"), ("машины", "машина"), ("किताबें", "किताब")],
)
def test_forms_of_a_word_have_one_stem(word: str, other: str) -> None:
    assert stem(word) == stem(other)


@pytest.mark.parametrize("word", ["d40", "1990s", "清", "مكتبه", "news"])
def test_words_without_endings_stay(word: str) -> None:
    assert stem(word) == word


@pytest.mark.parametrize(("form", "base"), [("chose", "choose"), ("written", "write"), ("won", "wins"), ("women", "woman")])
def test_irregular_english_forms_have_the_stem_of_their_base(form: str, base: str) -> None:
    assert stem(form) == stem(base)


@pytest.mark.parametrize(
    ("word", "form"), [("leave", "leaves"), ("live", "lives"), ("rose", "roses"), ("bit", "bits"), ("saw", "saws")]
)
def test_words_that_look_like_irregular_forms_keep_their_stem(word: str, form: str) -> None:
    assert stem(word) == stem(form)
