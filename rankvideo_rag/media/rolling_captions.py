"""Rolling captions, the format of automatic captions: each cue repeats the line before it. Keep each line once."""

from collections.abc import Sequence
from itertools import pairwise

from rankvideo_rag.media.subtitle_parser import Cue
from rankvideo_rag.schema import TimedWord

_MAX_GAP = 0.3  # seconds between a line and its repetition: longer ones are said again
_MAX_SHOWN = 60  # words that are on screen at once
_MIN_OVERLAP = 3  # words in common that are no chance, where neither cue repeats the other as a whole
_MIN_REPEATS = 2
_MIN_SHARE = 0.5  # of cues that repeat the one before


def remove_rolled_lines(cues: Sequence[Cue]) -> list[Cue]:
    """Return cues in order of time without the words that the cue before already shows, if the captions roll.

    Captions roll if at least half of the cues repeat words of the cue before: other subtitles may say a thing twice. A cue of
    which nothing is left extends the one before it.
    """
    repeats = sum(_repeats(before, cue) for before, cue in pairwise(cues))
    if repeats < max(_MIN_REPEATS, _MIN_SHARE * (len(cues) - 1)):
        return list(cues)
    kept = list(cues[:1])
    for before, cue in pairwise(cues):
        rest = _without_first_words(cue, _overlap(before, cue))
        if rest.text:
            kept.append(rest)
        else:
            kept[-1] = kept[-1]._replace(end=max(kept[-1].end, cue.end))
    return kept


def _repeats(before: Cue, cue: Cue) -> bool:
    words = _overlap(before, cue)
    return words >= min(_MIN_OVERLAP, len(before.text.split()), len(cue.text.split()))


def _overlap(before: Cue, cue: Cue) -> int:
    """Return how many words at the end of one cue begin the next."""
    if cue.start - before.end > _MAX_GAP:
        return 0
    shown, words = before.text.split()[-_MAX_SHOWN:], cue.text.split()[:_MAX_SHOWN]
    counts = range(min(len(shown), len(words)), 0, -1)
    return next((count for count in counts if shown[-count:] == words[:count]), 0)


def _without_first_words(cue: Cue, count: int) -> Cue:
    text = " ".join(cue.text.split()[count:])
    timed: list[TimedWord] = []
    for word in cue.words:
        parts = word.text.split()
        left, count = parts[count:], max(count - len(parts), 0)
        timed += [word._replace(text=" ".join(left))] if left else []
    return cue._replace(text=text, words=tuple(timed))
