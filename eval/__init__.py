"""Measuring retrieval, ranking and answers.

Files     runs.py (TREC runs, qrels, claims), published.py and verdicts.py (RankVideo's files), multivent.py, wikivideo.py,
          captions.py, slices.py; prepare.py brings data sets into them, corpora.py checks downloads
Measures  measures.py by name, of which coverage.py (claims) and moments.py are ours; ties.py, significance.py; retrieval.py
          puts runs side by side
Reranker  batch.py judges many pairs; compare.py, diagnosis.py (calibration.py, variance.py) tell what that was worth
Answers   answers/

Measures need the extra `eval`.
"""
