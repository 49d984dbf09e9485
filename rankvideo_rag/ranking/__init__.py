"""Ranking, apart from any framework: fusing lists of clips, judging pairs of question and clip, ordering by the verdicts."""
