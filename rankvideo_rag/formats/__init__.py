"""Readers and writers of TREC, JSONL and published data set files. Every error names file and line."""

from rankvideo_rag.formats.multivent import load_qrels, read_multivent_queries
from rankvideo_rag.formats.trec import Qrels, read_qrels
from rankvideo_rag.formats.wikivideo import read_wikivideo

__all__ = ["Qrels", "load_qrels", "read_multivent_queries", "read_qrels", "read_wikivideo"]
