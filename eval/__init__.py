"""Measuring retrieval and ranking in batches: TREC runs and qrels (runs.py), RankVideo's published files (published.py,
verdicts.py), many pairs at once (batch.py), and measures (measures.py and compare.py, which need the extra `eval`).
"""
