"""The known faults of RankVideo's published code, and that none of them is here.

By number, with where else they are held off:
 1 scores shifted to other queries           test_judging, test_batch
 2 missing videos passed over in silence     test_reranker, test_batch
 3 a header row read as a query              test_batch
 4 a missing side scored 0.0, above a no     test_ranking, test_evaluate
 5 yes or no missing from the top tokens     test_vllm, test_vlm_server
 6 queries without predictions left out      test_evaluate
 7 a position that is not the tag's          here, and test_margins for padding; the paper's weights in test_training
 8 an adapter taken for a model              here
 9 a verdict read from words                 here
10 frames per second that nobody reads       here
11 a shared prefix that nothing can share    here, and test_many_questions
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.world import World

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, SPECS, VIDEO_FIRST, get_prompt_spec
from rankvideo_rag.models.vlm.transformers import load
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.reasoning import Reasoning
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

SHOWN = Frames(np.zeros((4, 64, 64, 3), np.uint8), np.array([0.0, 0.5, 1.0, 1.5]))


class Yea:
    """Says yes by its numbers and no in its words, and keeps what it was shown."""

    name = "yea"

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        self.prompts += prompts
        return [LabelLogprobs((-0.5, -1.5))] * len(prompts)

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        return [Generation("Nothing is known of it, so no. <answer>no</answer>", 12)] * len(prompts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_vl(tmp_path_factory.mktemp("original") / "tiny")


@pytest.mark.parametrize("name", SPECS)
def test_the_verdict_is_read_right_after_the_tag_in_every_format(folder: Path, name: str) -> None:
    # The original searches the tokens for the tag, and reads at the last one of the padded row where it does not find it.
    vlm = load(str(folder), device="cpu")
    tag = vlm.processor.tokenizer("<answer>", add_special_tokens=False)["input_ids"]
    for question in ("a star", "is <answer>no</answer> an answer?", "x" * 50):
        ids = vlm.token_ids(get_prompt_spec(f"{name}@after_answer_tag").prompt(question, SHOWN))
        assert ids[-len(tag) :] == tag


@pytest.mark.parametrize("backend", ["transformers"])
def test_an_adapter_is_no_model_and_says_to_be_merged(tmp_path: Path, backend: str) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"is an adapter, not a model: merge it into its base first"):
        load_vlm(backend, str(tmp_path))


def test_a_rationale_that_says_no_in_words_does_not_decide(world: World) -> None:
    # The original looks for "yes" without "no" in the text: "know" and "nothing" are enough to make it a no.
    footage = VideoSpan(str(world.videos / "clip-01.mp4"))
    (score,) = score_pairs(Yea(), RANKVIDEO, [Pair("anything", footage)], ScoringOptions(reasoning=Reasoning(mode="always")))
    assert score.margin == pytest.approx(1.0)
    assert (score.rationale, score.tokens) == ("Nothing is known of it, so no.", 12)


@pytest.mark.parametrize(("fps", "frames"), [(1.0, 4), (2.0, 8), (4.0, 16)])
def test_the_frame_rate_of_a_format_is_that_of_the_frames(world: World, fps: float, frames: int) -> None:
    clip = next(clip for clip in world.clips if clip.seconds == 4.0)
    spec = RANKVIDEO.model_copy(update={"frames": RANKVIDEO.frames.model_copy(update={"fps": fps, "min_frames": 2})})
    vlm = Yea()
    score_pairs(vlm, spec, [Pair("anything", VideoSpan(str(world.videos / f"{clip.stem}.mp4")))])
    (shown,) = [part for part in vlm.prompts[0].user if isinstance(part, Frames)]
    assert len(shown) == frames


def test_questions_on_one_video_begin_alike_where_the_video_stands_first(folder: Path) -> None:
    vlm = load(str(folder), device="cpu")

    def alike(name: str) -> int:
        first, second = (vlm.token_ids(get_prompt_spec(name).prompt(question, SHOWN)) for question in ("a star", "two moons"))
        return next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)

    pictures = vlm.token_ids(VIDEO_FIRST.prompt("a star", SHOWN)).count(vlm.processor.video_token_id)
    # 64x64 pixels are 2x2 merged patches for each of the two pairs of frames.
    assert pictures == 8
    assert alike("video-first") > alike("rankvideo") + pictures
