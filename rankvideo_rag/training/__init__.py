"""Training in RankVideo's two stages, of an embedder beside them, and the data for it.

records.py has the published format, synthesis/ makes such data; objectives.py, graded.py and contrastive.py say what is lost,
groups.py what a batch is; perception.py, reranker.py and embedder.py are the three kinds of training, around loop.py.
"""
