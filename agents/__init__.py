"""Video search for agents: tools over an archive for any LlamaIndex agent."""

from rankvideo_rag.agents.tools import VideoArchiveToolSpec

__all__ = ["VideoArchiveToolSpec"]
