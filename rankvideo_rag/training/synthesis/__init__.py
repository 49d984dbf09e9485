"""Data to train a ranker with, made from videos (arXiv 2602.02444, data synthesis): four steps from files to files.

    captions    videos                                      -> what is seen and, from an archive, said and written in each
    queries     captions                                    -> questions from five views of a video, and qrels
    labels      queries, captions, a first stage's results  -> a teacher's reasoning and verdict on each pair
    negatives   labels                                      -> the training file: what the filters leave

The first three call models behind the VLM protocol of rankvideo_rag.models.vlm, and never twice for the same item
(ledger.py); the last is arithmetic.
"""
