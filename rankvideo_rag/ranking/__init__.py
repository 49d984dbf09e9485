"""Ranking: fusion of channels, scoring pairs of a question and a clip, ordering by score."""
