"""Eighty inputs that break video pipelines, as `table` lists them, and the functions that make them."""
