"""Tools that give LlamaIndex agents access to an archive."""

from rankvideo_rag.agents.tools import VideoArchiveToolSpec

__all__ = ["VideoArchiveToolSpec"]
