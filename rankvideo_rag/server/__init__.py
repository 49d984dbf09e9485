"""An archive over HTTP: a JSON API, the videos themselves, and one static page to ask and watch with."""

from rankvideo_rag.server.app import create_app

__all__ = ["create_app"]
