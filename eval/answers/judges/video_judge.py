"""A judge that watches: holds a claim against a clip through RankVideo's pointwise verdict (ranking/pointwise.py).

The claim stands where a question would. RankVideo was trained to say whether a video is relevant to a query, not whether it
proves a claim: with such a checkpoint, `yes` means that the clip shows what the claim speaks of.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.eval.answers.judge import Check, Verdict
from rankvideo_rag.formats.video_folder import VideoFolder
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.models.vlm import VLM
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.schema import Score

_AT_ONCE = 64  # pairs that are judged, and whose verdicts are kept, together


def video_finder(files: Mapping[str, str], folder: VideoFolder | None) -> Callable[[str], str | Path]:
    """From a video's id to its file: in `folder`, where one is given, else as the answers name it."""

    def find(video: str) -> str | Path:
        if folder is not None:
            return folder.find(video)
        if video not in files:
            raise MediaError("no_file", f"no answer says where video {video!r} lies: name the folder of the videos")
        return files[video]

    return find


class VideoJudge:
    """`yes` where the margin logp(yes) - logp(no) is above `threshold`, in nats; no verdict on what cannot be watched.

    `find` leads from a video's id to its file and raises MediaError where there is none.
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
        self._vlm = vlm
        self._spec = spec
        self._find = find
        self._threshold = threshold
        self._options = ScoringOptions(limits=limits)

    @property
    def name(self) -> str:
        """The model's."""
        return self._vlm.name

    @property
    def version(self) -> str:
        """The prompt's fingerprint and the threshold."""
        return f"{self._spec.fingerprint}:{self._threshold}"

    def judge(self, checks: Sequence[Check]) -> Iterator[Verdict]:
        """One verdict for each check. The claims on one clip share its decoding where they stand together."""
        for begin in range(0, len(checks), _AT_ONCE):
            yield from self._batch(checks[begin : begin + _AT_ONCE])

    def _batch(self, checks: Sequence[Check]) -> list[Verdict]:
        pairs = [self._pair(check) for check in checks]
        watchable = [pair for pair in pairs if isinstance(pair, Pair)]
        scores = dict(zip(watchable, score_pairs(self._vlm, self._spec, watchable, self._options), strict=True))
        return [self._verdict(scores[pair]) if isinstance(pair, Pair) else pair for pair in pairs]

    def _pair(self, check: Check) -> Pair | Verdict:
        if check.video_id is None:
            raise InputError(f"the claim {check.claim[:80]!r} is held against words: this judge watches videos only")
        try:
            return Pair(check.claim, VideoSpan(str(self._find(check.video_id)), check.start, check.end))
        except MediaError as error:
            return Verdict(None, f"{error.code}: {error}")

    def _verdict(self, score: Score) -> Verdict:
        if score.margin is None:
            return Verdict(None, score.reason)
        return Verdict("yes" if score.margin > self._threshold else "no")
