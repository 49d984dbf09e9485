from rankvideo_rag.media.fence import Limits
from rankvideo_rag.schema import Probe


def probe(path: str, *, limits: Limits = Limits()) -> Probe:
    raise NotImplementedError
