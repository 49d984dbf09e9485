"""Serve an archive over HTTP: a JSON API, the videos, and a web page to search and ask."""

from rankvideo_rag.server.app import create_app

__all__ = ["create_app"]
