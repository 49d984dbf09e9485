"""Train the tiny models that ship: perception, reranker and embedder, from random weights on synthetic clips.

The configurations are recipes/*.yaml, as for `rankvideo train`; clips are drawn in memory instead of read from files.
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
PACKED = {"reranker": "shipped/tiny-reranker", "embedder": "shipped/tiny-embedder"}
"""Where packed models are written, below the output folder."""
_EASY = 0.2  # share of the query groups over which queries grow from one attribute to nearly all
CLIP_GROUPS = 4000  # of four clips, for perception; as many others for the reranker and the embedder
_QUERIES_PER_GROUP = {"reranker": 6, "embedder": 2}  # a reranker shares each clip's tokens; an embedder needs many clips

Config = TypeVar("Config", bound=TrainingConfig)


class Checkpoints(NamedTuple):
    """Folders of trained models."""

    perception: Path
    reranker: Path
    embedder: Path


class TinyTraining:
    """The training of the tiny models, each written to a folder of its own below `folder`.

    Reranker and embedder are trained on clips that the vision encoder was not trained on, as those of an archive are.
    `share` scales clips and steps.
    """

    def __init__(self, folder: Path, *, seed: int, share: float = 1.0) -> None:
        self._folder = folder
        self._seed = seed
        self._share = share
        self._count = max(8, round(share * CLIP_GROUPS))
        self._clips = clip_groups(self._count, seed=seed, first=CLIP_GROUPS)
        self._frame_source = _draw_frames([clip for group in self._clips for clip in group])

    def train_all(self) -> Checkpoints:
        """Train all models from random weights."""
        perception = self.perception(write_untrained_model(self._folder / "untrained", seed=self._seed))
        return Checkpoints(perception, self.reranker(perception), self.embedder(perception))

    def perception(self, model: Path) -> Path:
        """Train stage one on plain captions, on captions worded like queries, and on partial ones."""
        clips = [clip for group in clip_groups(self._count, seed=self._seed) for clip in group]
        examples = [
            *caption_examples(clips),
            *paraphrase_examples(clips, seed=self._seed),
            *partial_caption_examples(clips, seed=self._seed),
        ]
        config = self._config("perception", PerceptionConfig, model)
        return train_perception(config, examples, frame_source=_draw_frames(clips))

    def reranker(self, model: Path, *, name: str = "reranker", easy: float = _EASY, **changes: Any) -> Path:
        """Train stage two; `easy` is as in `query_groups`, `changes` are those of an ablation to the recipe."""
        config = self._config("reranker", RerankerConfig, model, name=name, prompt=SPEC, **changes)
        return train_reranker(config, _examples(self._query_groups(config, "reranker", easy)), frame_source=self._frame_source)

    def embedder(self, model: Path) -> Path:
        """Train the embedder, with the relevance of all clips of a batch to each query."""
        config = self._config("embedder", EmbedderConfig, model)
        groups = self._query_groups(config, "embedder", _EASY)
        queries = {
            f"{number}.{place}": query.query for number, group in enumerate(groups) for place, query in enumerate(group.queries)
        }
        scenes = {clip.stem: clip.scene for group in groups for clip in group.clips}

        def is_relevant(query_id: str, stem: str) -> bool:
            query = queries[query_id]
            return query is not None and grade(query, scenes[stem]) > 0

        return train_embedder(config, _examples(groups), frame_source=self._frame_source, relevance=is_relevant)

    def _query_groups(self, config: RerankerConfig | EmbedderConfig, model: str, easy: float) -> list[QueryGroup]:
        """Return as many query groups as the steps use."""
        queries = _QUERIES_PER_GROUP[model]
        used = (config.max_steps or 1) * config.gradient_accumulation * config.groups_per_batch
        return list(query_groups(self._clips, count=-(-used // queries), queries=queries, easy=easy, seed=self._seed))

    def _config(self, recipe: str, kind: type[Config], model: Path, *, name: str | None = None, **changes: Any) -> Config:
        config = read_config(RECIPES / f"{recipe}.yaml", kind, model=str(model), output=str(self._folder / (name or recipe)))
        scaled = {name: max(1, round(self._share * getattr(config, name))) for name in ("max_steps", "log_steps")}
        return kind.model_validate(config.model_dump() | scaled | {"seed": self._seed} | changes)


def _examples(groups: Sequence[QueryGroup]) -> list[TrainingExample]:
    return [example for number, group in enumerate(groups) for example in to_training_examples(group, str(number))]


def _draw_frames(clips: Sequence[SyntheticClip]) -> FrameSource:
    by_stem = {clip.stem: clip for clip in clips}

    @cache
    def draw(stem: str) -> Frames:
        return sample_frames(by_stem[stem], SPEC.frames, side=SIDE)

    return draw


def pack(model: Path, output: Path) -> Path:
    """Copy the checkpoint OUTPUT/NAME/model as it ships: float16 weights, and no path of this machine."""
    shutil.copytree(model, output, ignore=shutil.ignore_patterns("*.bin", "checkpoint-*"), dirs_exist_ok=True)
    record = output / "training.yaml"
    record.write_text(record.read_text(encoding="utf-8").replace(f"{model.parents[1]}/", ""), encoding="utf-8")
    for file in output.rglob("*.safetensors"):
        save_file({name: weight.half() for name, weight in load_file(file).items()}, file, metadata={"format": "pt"})
    return output


def ship(model: Path) -> Path:
    """Replace the packaged checkpoint of the same name by a packed one."""
    output = SHIPPED / model.name
    shutil.rmtree(output, ignore_errors=True)
    return Path(shutil.copytree(model, output))


def write_model_card(folder: Path, name: str, result: EvalResult, *, seed: int, minutes: float) -> None:
    """Write README.md beside the weights: what the model is, what it was trained on, and its limits."""
    ndcg = {stage: f"{measures['nDCG@10']:.3f}" for stage, measures in result.stages.items()}
    fields = {"name": name, "seed": seed, "minutes": f"{minutes:.0f}", "clips": result.clips, "questions": result.questions}
    fields |= {"reranked": ndcg["reranked"], "embedder": ndcg["embedder"], "fusion": ndcg[result.reranked_stage]}
    fields |= {"training_clips": 8 * CLIP_GROUPS}
    (folder / "README.md").write_text((RECIPES / "card.md").read_text(encoding="utf-8").format(**fields), encoding="utf-8")
