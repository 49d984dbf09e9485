"""Candidate quotes: runs of one to four sentences of the evidence, within the scene that they are from."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from rankvideo_rag.answering import question_words
from rankvideo_rag.answering.answer_kinds import cached_quantities
from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.text import content_tokens, language_of, text_terms, timed_sentences
from rankvideo_rag.text.names import find_names, name_words
from rankvideo_rag.text.timed import TimedSentence, count_words
from rankvideo_rag.text.tokens import fold

MAX_WORDS = 45  # of a candidate with several sentences
MAX_SENTENCES = 4
MAX_PAUSE = 8.0  # seconds between two sentences of a candidate
QUESTION_END = re.compile(r"[?？؟][\"'”’»)\]]*\s*$")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Scene:
    """The timed text around the evidence of one video, as sentences in order of channel and time."""

    title: str
    sentences: tuple[TimedSentence, ...]

    @classmethod
    def of(cls, title: str, spans: Iterable[TextSpan]) -> "Scene":
        """Return the scene of these spans."""
        return cls(title.replace("_", " "), tuple(timed_sentences(spans)))

    @cached_property
    def terms(self) -> tuple[frozenset[str], ...]:
        """Terms of each sentence."""
        return tuple(frozenset(text_terms(sentence.text)) for sentence in self.sentences)

    @cached_property
    def content(self) -> tuple[frozenset[str], ...]:
        """Terms of each sentence that are no function words."""
        return tuple(frozenset(token.term for token in content_tokens(s.text)) for s in self.sentences)

    @cached_property
    def all_terms(self) -> frozenset[str]:
        """Terms of all sentences and the title."""
        return frozenset(text_terms(self.title)).union(*self.terms)

    @cached_property
    def words(self) -> tuple[frozenset[str], ...]:
        """Words of each sentence, folded."""
        return tuple(_words(sentence.text) for sentence in self.sentences)

    @cached_property
    def all_words(self) -> frozenset[str]:
        """Words of all sentences and the title, folded."""
        return _words(self.title).union(*self.words)

    @cached_property
    def names(self) -> frozenset[str]:
        """Words of the proper names of all sentences, folded."""
        return name_words(name for sentence in self.sentences for name in find_names(sentence.text))

    @cached_property
    def numbers(self) -> frozenset[float]:
        """Values of the quantities of all sentences and the title, in digits or words."""
        texts = [self.title, *(sentence.text for sentence in self.sentences)]
        return frozenset(quantity.value for text in texts for quantity in cached_quantities(text))

    @cached_property
    def asks(self) -> tuple[bool, ...]:
        """Whether each sentence is a question."""
        return tuple(QUESTION_END.search(sentence.text) is not None for sentence in self.sentences)

    @cached_property
    def corrects(self) -> tuple[bool, ...]:
        """Whether each sentence begins by taking back what was said before it."""
        return tuple(_is_correction(sentence.text) for sentence in self.sentences)


@dataclass(frozen=True)
class Candidate:
    """Sentences [first, last) of a scene."""

    scene: Scene
    first: int
    last: int

    @cached_property
    def text(self) -> str:
        """The sentences, joined."""
        return join_sentences([sentence.text for sentence in self.scene.sentences[self.first : self.last]])

    @property
    def inside(self) -> range:
        """The numbers of its sentences in the scene."""
        return range(self.first, self.last)

    @property
    def channel(self) -> TextChannel:
        """The channel of its sentences."""
        return self.scene.sentences[self.first].channel

    @property
    def sentences(self) -> tuple[TimedSentence, ...]:
        """Its sentences."""
        return self.scene.sentences[self.first : self.last]

    @property
    def text_with_context(self) -> str:
        """The sentences, after the two before them."""
        return join_sentences(self.scene.sentences[i].text for i in [*self.before(2), *range(self.first, self.last)])

    @property
    def start(self) -> float:
        """Seconds."""
        return self.scene.sentences[self.first].start

    @property
    def end(self) -> float:
        """Seconds."""
        return max(sentence.end for sentence in self.scene.sentences[self.first : self.last])

    def before(self, count: int) -> range:
        """Return the numbers of up to `count` sentences of the same channel before it."""
        channel = self.scene.sentences[self.first].channel
        first = self.first
        while first > max(self.first - count, 0) and self.scene.sentences[first - 1].channel == channel:
            first -= 1
        return range(first, self.first)

    def after(self, count: int) -> range:
        """Return the numbers of up to `count` sentences of the same channel after it."""
        channel = self.scene.sentences[self.first].channel
        last = self.last
        while last < min(self.last + count, len(self.scene.sentences)) and self.scene.sentences[last].channel == channel:
            last += 1
        return range(self.last, last)


def find_candidates(scene: Scene, start: float, end: float) -> Iterator[Candidate]:
    """Yield the candidates whose first or last sentence overlaps [start, end) seconds. None ends with a question."""
    for first, sentence in enumerate(scene.sentences):
        last, words = first, 0.0
        while last < len(scene.sentences) and last - first < MAX_SENTENCES and _continues(scene, first, last):
            words += count_words(scene.sentences[last].text)
            last += 1
            if last - first > 1 and words > MAX_WORDS:
                break
            ends_in = scene.sentences[last - 1].start < end and scene.sentences[last - 1].end > start
            if (ends_in or (sentence.start < end and sentence.end > start)) and not scene.asks[last - 1]:
                yield Candidate(scene, first, last)


def join_sentences(texts: Iterable[str]) -> str:
    """Return sentences as one text, with a space between them except after full-width punctuation."""
    joined = ""
    for text in texts:
        joined += text if not joined or joined[-1:] in "。！？…”、，" else f" {text}"
    return joined


def _continues(scene: Scene, first: int, last: int) -> bool:
    """Return whether a sentence belongs to the run that begins with `first`: one channel, without a long pause."""
    if first == last:
        return True
    before, sentence = scene.sentences[last - 1], scene.sentences[last]
    return before.channel == sentence.channel == "speech" and sentence.start - before.end <= MAX_PAUSE


def _is_correction(text: str) -> bool:
    pattern = question_words.CORRECTIONS.get(language_of(text) or "en", question_words.CORRECTIONS["en"])
    return re.search(pattern, fold(text)) is not None


def _words(text: str) -> frozenset[str]:
    return frozenset(fold(word) for word in _WORD.findall(text))
