"""Measure retrieval, reranking and answers. Needs the extra `eval`.

Retrieval   retrieval.py compares runs by measures.py (coverage.py and moment_measures.py hold those that ir-measures lacks),
            with ties.py, significance.py and slices.py
Reranking   reranking.py compares the first stage with the reranked order, with calibration_error.py and variance.py;
            backend_agreement.py compares two backends
Datasets    corpora.py checks downloads, prepare.py converts published datasets
Answers     answers/, and report/ measures all of an archive
"""
