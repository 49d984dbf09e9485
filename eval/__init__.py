"""Measuring retrieval: TREC runs and qrels (runs.py), and measures over them (measures.py, which needs the extra `eval`)."""
