"""How much of a question a text contains, by its words."""

from rankvideo_rag.schema import TextChannel
from rankvideo_rag.text import content_tokens, found_terms, split_sentences, stem

# Words of a question that ask for a kind of evidence: text of that channel matches them by what it is.
CHANNEL_WORDS = {
    "speech": frozenset(map(stem, ("narrator", "speaker", "speech", "spoken", "voice"))),
    "on_screen": frozenset(map(stem, ("sign", "screen", "board", "written", "writing", "caption"))),
    "description": frozenset[str](),
}
STRONG_COVERAGE = 0.75  # share of its terms from which a text is about a question


def question_coverage(question: str, text: str, channel: TextChannel) -> float:
    """Return the share, from 0 to 1, of the question's terms that a text contains.

    Two adjacent terms may be written as one word, and a word that asks for a kind of evidence ("sign") matches evidence of that
    kind. Of several sentences in a question, the best covered one with two terms or more counts.

    >>> question_coverage("Where is the clean room?", "one of the largest cleanrooms in the world", "speech")
    1.0
    >>> question_coverage("Which number does the platform sign show?", "PLATFORM 12", "on_screen")  # platform, sign of three
    0.6666666666666666
    """
    sentences = [part for part in split_sentences(question) if len(content_tokens(part)) > 1]
    return max(_coverage(part, text, channel) for part in [question, *sentences])


def _coverage(question: str, text: str, channel: TextChannel) -> float:
    found = [is_found or term in CHANNEL_WORDS[channel] for term, is_found in found_terms(question, text).items()]
    return sum(found) / len(found) if found else 0.0
