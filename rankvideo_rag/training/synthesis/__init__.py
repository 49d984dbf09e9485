"""Training data from videos (arXiv 2602.02444, data synthesis), in four steps from files to files.

    captions   videos                                      -> a caption and, from an archive, the text of each
    queries    captions                                    -> questions from five views of a video, and qrels
    labels     queries, captions, a first stage's results  -> a teacher's reasoning and label for each pair
    mine       labels                                      -> the training file: what the filters keep

The first three run models through the VLM protocol, never twice for the same item (step_output.py); the last only computes.
"""
