"""Whether words bear a sentence out, as far as code can tell: terms that are held, figures that agree, links taken out.

A measure of words and no judge of meaning: it finds an invented name or figure, not a twisted sense. A paraphrase in other
words, or in another language, is not borne out by it: then the quote is what holds. This file knows neither LlamaIndex nor
models.
"""

import re
from collections.abc import Iterable, Sequence

from rankvideo_rag.answering.evidence import Evidence, as_data
from rankvideo_rag.answering.quotes import split
from rankvideo_rag.text import clean, content_terms, stem, timestamp

LEAST = 0.6  # share of what a sentence adds to the question that the words it cites must hold
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_FIGURE_OF = {word: str(number) for number, word in enumerate(_NUMBERS)}
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|(?:\w+:)?//\S+|\b(?:javascript|data|mailto|file):\S+|\bwww\.\S+", re.IGNORECASE)
_RUN = 5  # words in a row that are nobody's by chance


def words_bear(sentence: str, question: str, cited: Sequence[Evidence]) -> bool:
    """Whether the words of the cited clips hold what the sentence says.

    Of the terms that it adds to the question and to the clips' titles they must hold at least 60 %; of a sentence that adds
    none, all. Every figure must stand in one of these. A sentence without terms ("So it is") says nothing that could fail.
    """
    known = {_canonical(term) for text in (question, *(piece.title for piece in cited)) for term in split(text)}
    said, held = _terms(_without_times(sentence, cited)), _held_by(cited)
    if any(term not in held | known for term in said if _is_figure(term)):
        return False
    added = [term for term in said if term not in known]
    return share_held(added, held) >= LEAST if added else share_held(said, held) == 1.0


def support(sentence: str, cited: Sequence[Evidence]) -> float:
    """The share, from 0 to 1, of the sentence's terms that the words of the cited clips hold."""
    return share_held(_terms(_without_times(sentence, cited)), _held_by(cited))


def tells(sentence: str, words: str) -> bool:
    """Whether a sentence says something, and at least 60 % of it in these words."""
    said = _terms(sentence)
    return bool(said) and share_held(said, (_canonical(term) for term in split(words))) >= LEAST


def share_held(terms: Sequence[str], held: Iterable[str]) -> float:
    """The share of the terms that are among those held; 1 where there are none."""
    among = set(held)
    return sum(term in among for term in terms) / len(terms) if terms else 1.0


def plain(text: str) -> str:
    """Foreign words fit to show: one line, no address to follow, no tag, no control token, nothing that reads as a citation.

    >>> plain("See ![x](http://e.example/?q=1) at http://e.example <b>now</b> [Other video @ 00:01]")
    'See (link) at (link) < b>now< /b> (Other video @ 00:01)'
    """
    return as_data(_LINK.sub("(link)", clean(text)))


def repeats(text: str, instructions: str, cited: Sequence[Evidence], question: str) -> bool:
    """Whether a text gives away the instructions: five words in a row, or a code such as a key, that are nobody else's."""
    told, said = split(instructions), split(text)
    sources = [question, *(piece.title for piece in cited), *(span.text for piece in cited for span in piece.spans)]
    theirs = " / ".join(" ".join(split(source)) for source in sources)
    runs = {tuple(told[i : i + _RUN]) for i in range(len(told) - _RUN + 1)}
    codes = {word for word in told if len(word) >= _RUN and not word.isalpha() and any(c.isalpha() for c in word)}
    given_away = [run for i in range(len(said)) if (run := tuple(said[i : i + _RUN])) in runs]
    return any(" ".join(run) not in theirs for run in given_away) or any(w in codes and w not in theirs for w in said)


def _terms(text: str) -> list[str]:
    # The word put in front keeps content_terms from giving function words back where there is nothing else.
    content = content_terms(" ".join(["subject", *split(text)]))[1:]
    return [_canonical(term) for term in content]


def _canonical(term: str) -> str:
    return (_FIGURE_OF.get(term) or stem(term)).lstrip("0") or "0"


def _is_figure(term: str) -> bool:
    return any(letter.isdigit() for letter in term)


def _held_by(cited: Sequence[Evidence]) -> set[str]:
    return {_canonical(term) for piece in cited for span in piece.spans for term in split(span.text)}


def _without_times(sentence: str, cited: Sequence[Evidence]) -> str:
    """The sentence without times of the evidence, as a model was shown them: they are no figures that anybody says."""
    ends = {time for piece in cited for time in (piece.start, piece.end)}
    ends |= {time for piece in cited for span in piece.spans for time in (span.start, span.end)}
    for time in sorted(map(timestamp, ends), key=len, reverse=True):
        sentence = sentence.replace(time, " ")
    return sentence
