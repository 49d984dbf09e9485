"""What the little world teaches: clips to train on, captions of them, and questions in groups with near misses.

No clip, caption or question here has a held-out combination. The world knows what is true; the teacher has read the captions.
Easy questions ask for one attribute, later ones for more of them. This file knows no models and opens no videos.
"""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from rankvideo_rag.formats.training_data import TrainingExample, VideoEvidence
from rankvideo_rag.synthetic.facts import facts, signs
from rankvideo_rag.synthetic.grammar import Request, caption, grade, kind_of, phrase
from rankvideo_rag.synthetic.scenes import Cast, Look, WorldClip, clip_of, training_family

TEACHER_P_YES = (0.02, 0.85, 0.98)  # by grade: nothing of it, it beside something else, just that
_SHARE_WITH_SIGNS = 0.3  # of the clips
_SHARE_OF_WORDS = 0.06  # of the questions: answered by what is said or written, so by no picture
_TRIES = 20  # to find a question that tells a clip from another of its family


class Asked(NamedTuple):
    """A question of a lesson."""

    text: str
    request: Request | None  # what it asks of the eye; None where words alone answer it
    grades: tuple[int, ...]  # clip by clip


class Lesson(NamedTuple):
    """Clips that are much alike, and questions about them."""

    clips: tuple[WorldClip, ...]
    questions: tuple[Asked, ...]


def families(count: int, *, seed: int, first: int = 0) -> list[list[WorldClip]]:
    """That many families of clips to train on, from number `first`: the same seed and number give the same one."""
    return [_family(number, Random(f"{seed}/{number}")) for number in range(first, first + count)]


def captions(clips: Iterable[WorldClip]) -> list[TrainingExample]:
    """Each clip with its plain caption."""
    return [_captioned(clip, caption(clip.cast)) for clip in clips]


def paraphrases(clips: Iterable[WorldClip], *, seed: int) -> list[TrainingExample]:
    """Each clip with a caption in the words of questions."""
    random = Random(seed)
    return [_captioned(clip, paraphrase(clip.cast, random)) for clip in clips]


def descriptions(clips: Iterable[WorldClip], *, seed: int) -> list[TrainingExample]:
    """Each clip as a question might describe it: some of what can be said of it, in the words of questions."""
    random = Random(seed)
    asked = ((clip, request_about(clip.cast, random, detail=random.random() ** 0.5)) for clip in clips)
    return [_captioned(clip, _sentence(request, random)) for clip, request in asked]


def lessons(pool: Sequence[Sequence[WorldClip]], *, count: int, questions: int, easy: float, seed: int) -> Iterator[Lesson]:
    """Lessons on families of a pool, each joined by a clip of another, from the easiest questions to the hardest.

    `easy` is the share of the lessons over which questions grow from one attribute to nearly all; 0 begins with hard ones.
    A few questions are answered by what is said or written, so by none of the clips.
    """
    random = Random(seed)
    told = [fact.question for fact in facts(random)] + [sign.question for sign in signs(random)]
    for number in range(count):
        family = random.choice(pool)
        clips = (*family, random.choice(random.choice(pool)))
        grown = min(1.0, number / (easy * count)) if easy else 1.0
        asked = (_question(clips, told, grown, random) for _ in range(questions))
        yield Lesson(clips, tuple(asked))


def as_examples(lesson: Lesson, lesson_id: str) -> list[TrainingExample]:
    """The lesson in the published format. `videos` names clips of the world, not files."""
    return [
        TrainingExample(
            query_id=f"{lesson_id}.{number}",
            query=asked.text,
            doc_id=clip.stem,
            videos=(clip.stem,),
            true_label=value,
            teacher_p_yes=TEACHER_P_YES[value],
            evidence=VideoEvidence(caption=caption(clip.cast)),
            teacher_label=int(value > 0),
        )
        for number, asked in enumerate(lesson.questions)
        for clip, value in zip(lesson.clips, asked.grades, strict=True)
    ]


def request_about(cast: Cast, random: Random, *, detail: float, both: float = 0.8) -> Request:
    """Something that the cast grants, `detail` of what could be said about it: 0 names one attribute, 1 nearly all.

    Of two shapes, both are asked about with probability `both`. That a shape is always in sight is rarely said.
    """
    looks = cast.looks
    ground = cast.ground if random.random() < 0.4 * detail else None
    if random.random() < 0.1:
        return Request("ground", (), cast.ground)
    if len(looks) == 1 or random.random() >= both:
        return Request("one", (_partly(random.choice(looks), detail, random),), ground)
    return Request(kind_of(cast), tuple(_partly(look, detail, random) for look in looks), ground)


def paraphrase(cast: Cast, random: Random) -> str:
    """The clip in a sentence in the words of questions: all that can be said of it, in one of many wordings."""
    told = tuple(look if look.event != "steady" else look._replace(event=None) for look in cast.looks)
    return _sentence(Request(kind_of(cast), told, cast.ground), random)


def _sentence(request: Request, random: Random) -> str:
    said = phrase(request, random)
    return f"{said[0].upper()}{said[1:]}."


def _captioned(clip: WorldClip, words: str) -> TrainingExample:
    evidence = VideoEvidence(caption=words)
    return TrainingExample(query_id="caption", query="", doc_id=clip.stem, videos=(clip.stem,), evidence=evidence)


def _family(number: int, random: Random) -> list[WorldClip]:
    shown = signs(random)
    return [
        clip_of(
            cast, random, stem=f"{number}.{place}", sign=random.choice(shown) if random.random() < _SHARE_WITH_SIGNS else None
        )
        for place, cast in enumerate(training_family(random))
    ]


def _partly(look: Look, detail: float, random: Random) -> Look:
    names = ["colour", "shape", "motion", *(["event"] if look.event != "steady" or random.random() < 0.15 else [])]
    first = random.choice(names)
    said = {name for name in names if name == first or random.random() < detail}
    return Look(*(getattr(look, name) if name in said else None for name in Look._fields))


def _question(clips: Sequence[WorldClip], told: Sequence[str], grown: float, random: Random) -> Asked:
    """A question that one of the family grants and a certain other does not, if one is found; `grown` is its difficulty, to 1.

    That other is drawn by lot: what is said most often tells most clips apart, who has which and what comes first do not.
    """
    if random.random() < _SHARE_OF_WORDS:
        return Asked(random.choice(told), None, (0,) * len(clips))
    target, other = (clip.cast for clip in random.sample(clips[:-1], 2))
    for _ in range(_TRIES):
        request = request_about(target, random, detail=grown * random.random() ** 0.5, both=0.8 * grown)
        if not grade(request, other):
            break
    return Asked(phrase(request, random), request, tuple(grade(request, clip.cast) for clip in clips))
