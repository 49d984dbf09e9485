"""WordPiece tokenization as BERT does it (Devlin et al. 2019): lower case, no accents, longest known pieces first.

tests/models compare it with the `tokenizers` package, which the base install does without.
"""

import unicodedata
from collections.abc import Iterator, Mapping

_LONGEST_WORD = 100  # characters; longer words are unknown


def tokenize(text: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Return the numbers of the pieces of a text. Words that the vocabulary cannot spell are left out."""
    return [number for word in split_words(text) for number in _pieces(word, vocabulary)]


def split_words(text: str) -> list[str]:
    """Return words in lower case without accents; punctuation characters and CJK ideographs are words of their own."""
    decomposed = unicodedata.normalize("NFD", text)
    lowered = unicodedata.normalize("NFD", decomposed.lower()) if not decomposed.isascii() else decomposed.lower()
    return "".join(_separated(lowered)).split()


def _separated(text: str) -> Iterator[str]:
    for character in text:
        category = unicodedata.category(character)
        if category == "Mn" or (category in ("Cc", "Cf", "Co") and character not in "\t\n\r") or character == "\ufffd":
            continue
        yield f" {character} " if _is_punctuation(character, category) or _is_ideograph(character) else character


def _is_punctuation(character: str, category: str) -> bool:
    """Return whether a character is punctuation; as in BERT, ASCII symbols such as $ and ` count as such."""
    return category.startswith("P") or (character.isascii() and category.startswith("S"))


def _is_ideograph(character: str) -> bool:
    return (
        "\u3400" <= character <= "\u4dbf"
        or "\u4e00" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or ("\U00020000" <= character <= "\U0002fa1f")
    )


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Return the longest known prefix, then the longest known continuation, and so on; nothing where one is missing."""
    found: list[int] = []
    start = 0
    while start < len(word) <= _LONGEST_WORD:
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in vocabulary), None)
        if end is None:
            return []
        found.append(vocabulary[prefix + word[start:end]])
        start = end
    return found
