"""Measuring speed: rerank.py, on any Qwen3-VL or on a tiny one made here (tiny_checkpoint.py). Needs the extra `models`."""
