"""A vision-language model as a video judge, through RankVideo's pointwise score (ranking/pointwise.py).

The claim takes the place of the question. RankVideo was trained to judge whether a video is relevant to a query, not whether it
proves a claim: with such a checkpoint, `yes` means that the clip shows the subject of the claim.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.eval.answers.judge import Check, Judgement
from rankvideo_rag.formats.video_folder import VideoFolder
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.models.vlm import VLM
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.schema import Score

_BATCH_SIZE = 64  # pairs


def video_finder(paths: Mapping[str, str], folder: VideoFolder | None) -> Callable[[str], str | Path]:
    """Return a function from video id to path: in `folder` where given, else as in `paths`."""

    def find(video: str) -> str | Path:
        if folder is not None:
            return folder.find(video)
        if video not in paths:
            raise MediaError("no_file", f"no answer gives the path of video {video!r}: name the folder of the videos")
        return paths[video]

    return find


class VideoJudge:
    """Says `yes` where the margin logp(yes) - logp(no) is above a threshold.

    Args:
        vlm: the model.
        spec: its prompt format.
        find: returns the path of a video, or raises MediaError, which gives a judgement without a label.
        threshold: margin in nats.
        limits: limits on the videos that are decoded.
    """

    def __init__(
        self,
        vlm: VLM,
        spec: PromptSpec,
        *,
        find: Callable[[str], str | Path],
        threshold: float = 0.0,
        limits: MediaLimits = MediaLimits(),
    ) -> None:
        self.name = vlm.name
        self.version = f"{spec.fingerprint}:{threshold}"
        self._vlm = vlm
        self._spec = spec
        self._find = find
        self._threshold = threshold
        self._options = ScoringOptions(limits=limits)

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        """Yield one judgement for each check. Adjacent claims on one clip share its decoding."""
        for begin in range(0, len(checks), _BATCH_SIZE):
            yield from self._judge_batch(checks[begin : begin + _BATCH_SIZE])

    def _judge_batch(self, checks: Sequence[Check]) -> list[Judgement]:
        pairs = [self._pair(check) for check in checks]
        found = [pair for pair in pairs if isinstance(pair, Pair)]
        scores = dict(zip(found, score_pairs(self._vlm, self._spec, found, self._options), strict=True))
        return [self._judgement(scores[pair]) if isinstance(pair, Pair) else pair for pair in pairs]

    def _pair(self, check: Check) -> Pair | Judgement:
        if check.video_id is None:
            raise InputError(f"the claim {check.claim[:80]!r} is to be checked against text: this judge takes videos only")
        try:
            return Pair(check.claim, VideoSpan(str(self._find(check.video_id)), check.start, check.end))
        except MediaError as error:
            return Judgement(None, f"{error.code}: {error}")

    def _judgement(self, score: Score) -> Judgement:
        if score.margin is None:
            return Judgement(None, score.reason)
        return Judgement("yes" if score.margin > self._threshold else "no")
