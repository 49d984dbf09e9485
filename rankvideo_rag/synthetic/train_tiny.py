"""From nothing to the tiny models that ship: an untrained network learns to see, then to judge, and beside that to embed.

It is the training of `rankvideo train`, told by the YAML files in recipes/; only the clips are drawn in memory instead of read.
"""

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from safetensors.torch import load_file, save_file

from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames
from rankvideo_rag.synthetic.dataset import (
    QueryGroup,
    caption_examples,
    clip_groups,
    paraphrase_examples,
    partial_caption_examples,
    query_groups,
    to_training_examples,
)
from rankvideo_rag.synthetic.evaluation import EvalResult
from rankvideo_rag.synthetic.grammar import grade
from rankvideo_rag.synthetic.network import SIDE, SPEC, write_untrained_model
from rankvideo_rag.synthetic.render import sample_frames
from rankvideo_rag.synthetic.scenes import SyntheticClip
from rankvideo_rag.training.config import EmbedderConfig, PerceptionConfig, RerankerConfig, TrainingConfig, read_config
from rankvideo_rag.training.embedder import train_embedder
from rankvideo_rag.training.inputs import FrameSource
from rankvideo_rag.training.perception import train_perception
from rankvideo_rag.training.reranker import train_reranker

SHIPPED = Path(__file__).parent / "models"
RECIPES = Path(__file__).parent / "recipes"
# Where they are put, below a school's folder.
PACKED = {"reranker": "shipped/tiny-reranker", "embedder": "shipped/tiny-embedder"}
_EASY = 0.2  # share of the lessons over which questions grow from one attribute to nearly all
FAMILIES = 4000  # of clips to learn seeing from, four in each; as many again to learn judging from
_QUESTIONS_OF_A_LESSON = {"reranker": 6, "embedder": 2}  # a reranker shares each clip's tokens, an embedder wants many clips

Config = TypeVar("Config", bound=TrainingConfig)


class Checkpoints(NamedTuple):
    """Folders of what was learnt."""

    perception: Path
    reranker: Path
    embedder: Path


class TinyTraining:
    """Clips to learn from, and what is taught with them, each written to a folder of its own below `folder`.

    Judging is learnt from clips that the eyes were not trained on, as those of an archive are.
    `share` shortens everything alike: 0.1 has a tenth of the clips and of the steps.
    """

    def __init__(self, folder: Path, *, seed: int, share: float = 1.0) -> None:
        self._folder = folder
        self._seed = seed
        self._share = share
        self._count = max(8, round(share * FAMILIES))
        self._new = clip_groups(self._count, seed=seed, first=FAMILIES)
        self._footage = _footage([clip for family in self._new for clip in family])

    def all(self) -> Checkpoints:
        """Everything, from random weights."""
        seen = self.perception(write_untrained_model(self._folder / "untrained", seed=self._seed))
        return Checkpoints(seen, self.reranker(seen), self.embedder(seen))

    def perception(self, model: Path) -> Path:
        """Stage one: what is to be seen, told plainly, in the words of questions, and in part, as questions tell it."""
        clips = [clip for family in clip_groups(self._count, seed=self._seed) for clip in family]
        told = (
            caption_examples(clips)
            + paraphrase_examples(clips, seed=self._seed)
            + partial_caption_examples(clips, seed=self._seed)
        )
        return train_perception(self._config("perception", PerceptionConfig, model), told, frame_source=_footage(clips))

    def reranker(self, model: Path, *, name: str = "reranker", easy: float = _EASY, **changes: Any) -> Path:
        """Stage two. `easy` is the lessons', `changes` are those of an ablation to the recipe."""
        config = self._config("reranker", RerankerConfig, model, name=name, prompt=SPEC, **changes)
        return train_reranker(config, _examples(self._lessons(config, "reranker", easy)), frame_source=self._footage)

    def embedder(self, model: Path) -> Path:
        """The embedder. Of all clips of a batch it is told which answer a question, not only of those in its lesson."""
        config = self._config("embedder", EmbedderConfig, model)
        taught = self._lessons(config, "embedder", _EASY)
        asked = {
            f"{number}.{place}": question.query
            for number, lesson in enumerate(taught)
            for place, question in enumerate(lesson.questions)
        }
        scenes = {clip.stem: clip.scene for lesson in taught for clip in lesson.clips}

        def is_relevant(question: str, stem: str) -> bool:
            query = asked[question]
            return query is not None and grade(query, scenes[stem]) > 0

        return train_embedder(config, _examples(taught), frame_source=self._footage, relevance=is_relevant)

    def _lessons(self, config: RerankerConfig | EmbedderConfig, state: str, easy: float) -> list[QueryGroup]:
        """As many as the steps go through."""
        questions = _QUESTIONS_OF_A_LESSON[state]
        groups = (config.max_steps or 1) * config.gradient_accumulation * config.groups_per_batch
        count = -(-groups // questions)
        return list(query_groups(self._new, count=count, questions=questions, easy=easy, seed=self._seed))

    def _config(self, recipe: str, kind: type[Config], model: Path, *, name: str | None = None, **changes: Any) -> Config:
        told = read_config(RECIPES / f"{recipe}.yaml", kind, model=str(model), output=str(self._folder / (name or recipe)))
        shortened = {name: max(1, round(self._share * getattr(told, name))) for name in ("max_steps", "log_steps")}
        return kind.model_validate(told.model_dump() | shortened | {"seed": self._seed} | changes)


def _examples(taught: Sequence[QueryGroup]) -> list[TrainingExample]:
    return [example for number, lesson in enumerate(taught) for example in to_training_examples(lesson, str(number))]


def _footage(clips: Sequence[SyntheticClip]) -> FrameSource:
    by_stem = {clip.stem: clip for clip in clips}

    @cache
    def drawn(stem: str) -> Frames:
        return sample_frames(by_stem[stem], SPEC.frames, side=SIDE)

    return drawn


def ship(model: Path) -> Path:
    """Put a packed checkpoint into the package, in place of the one of its name."""
    to = SHIPPED / model.name
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(model, to))


def write_model_card(folder: Path, name: str, exam: EvalResult, *, seed: int, minutes: float) -> None:
    """README.md beside the weights: what the model is, what it has learnt from, and what it does not know."""
    fields = {"name": name, "seed": seed, "minutes": f"{minutes:.0f}", "clips": exam.clips, "questions": exam.questions}
    fields |= {"reranked": f"{exam.stages['reranked']['nDCG@10']:.3f}", "embedder": f"{exam.stages['embedder']['nDCG@10']:.3f}"}
    fields |= {"fusion": f"{exam.stages[exam.watched]['nDCG@10']:.3f}", "training_clips": 8 * FAMILIES}
    (folder / "README.md").write_text((RECIPES / "card.md").read_text(encoding="utf-8").format(**fields), encoding="utf-8")


def pack(model: Path, to: Path) -> Path:
    """A checkpoint `school/lesson/model` as it ships: weights in 16 bits, what loads it, and no path of this machine."""
    shutil.copytree(model, to, ignore=shutil.ignore_patterns("*.bin", "checkpoint-*"), dirs_exist_ok=True)
    record = to / "training.yaml"
    record.write_text(record.read_text(encoding="utf-8").replace(f"{model.parents[1]}/", ""), encoding="utf-8")
    for file in to.rglob("*.safetensors"):
        save_file({name: weight.half() for name, weight in load_file(file).items()}, file, metadata={"format": "pt"})
    return to
