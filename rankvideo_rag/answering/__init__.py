"""Answers from evidence, with verified citations."""
