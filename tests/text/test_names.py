"""Proper names are found by their capital letters."""

import pytest

from rankvideo_rag.text.names import find_names, name_words


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The panel chose Brightwell for the lift.", ["Brightwell"]),
        ("I met Mrs Abernethy in Truro on Monday.", ["Mrs Abernethy", "Truro"]),
        ("It was found by Augusta Treadwell of Lorne Park.", ["Augusta Treadwell of Lorne Park"]),
        ("Which belt fits the Norvik D60?", ["Norvik D60"]),
        ("Tear them. Slice them.", []),
        ("La sustituye el señor Ochandiano.", ["Ochandiano"]),
        ("Die Rangerin geht jeden Tag ins Moor.", []),
        ("Eine Frau namens Krug hat sie gegründet.", ["Krug"]),
        ("Gegründet hat sie Jolanta Krug.", ["Jolanta Krug"]),
        ("the work stop is from an old school lab", []),
        ("这家茶馆叫听雨轩。", []),
    ],
)
def test_names_are_found(text: str, names: list[str]) -> None:
    found = find_names(text)
    assert [name.text for name in found] == names
    assert all(text[name.start : name.end] == name.text for name in found)


def test_a_name_that_begins_a_sentence_needs_to_be_known() -> None:
    assert find_names("Lindfors saves it!") == []
    known = name_words(find_names("It is a fine save by Lindfors."))
    assert [name.text for name in find_names("Lindfors saves it!", known=known)] == ["Lindfors"]


def test_words_of_names_have_no_titles_and_no_endings() -> None:
    assert name_words(find_names("We saw Mr Petrakis's nephew and Émile Brandel.")) == {"petrakis", "emile", "brandel"}
