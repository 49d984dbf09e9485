"""Training a reranker: examples as they are published (records.py), and RankVideo's objective (objectives.py, needs torch)."""
