from rankvideo_rag.media.fence import Limits
from rankvideo_rag.schema import TextSpan


def read_subtitles(path: str, *, limits: Limits = Limits()) -> list[TextSpan]:
    raise NotImplementedError
