"""Caption videos and clips with a vision-language model."""

from collections.abc import Callable, Sequence

from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.media import Frames, MediaLimits, read_frames
from rankvideo_rag.models.vlm import VLM, Generation, Prompt
from rankvideo_rag.models.vlm.batch_generation import generate_each
from rankvideo_rag.schema import FrameBudget


def read_caption_frames(
    path: str, start: float | None = None, end: float | None = None, *, budget: FrameBudget, limits: MediaLimits
) -> Frames | str:
    """Return the frames of [start, end) seconds of a video, or "code: message" where none can be decoded."""
    try:
        frames = read_frames(path, start, end, budget=budget, limits=limits)
    except MediaError as error:
        return f"{error.code}: {error}"
    return frames if len(frames) else f"no_frames: none of {path} could be decoded"


def generate_captions(
    vlm: VLM, videos: Sequence[Frames | str], prompt: Callable[[Frames], Prompt], *, max_tokens: int
) -> list[Generation | str]:
    """Return a caption per video, or "code: message" for one without frames and one on which the model fails."""
    generated = iter(
        generate_each(vlm, [prompt(video) for video in videos if isinstance(video, Frames)], max_tokens=max_tokens)
    )
    captions = [video if isinstance(video, str) else next(generated) for video in videos]
    return [f"model: {caption}" if isinstance(caption, ModelError) else caption for caption in captions]
