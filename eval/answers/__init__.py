"""Measuring answers: what they say (mirage, nuggets, correctness), what they cite (alce, argue, temporal), when they abstain.

Answers and references (records.py) are read in reading.py. A measure asks for verdicts (checks.py), which come from judges/ or
from a file of earlier ones (verdicts.py); evaluate.py puts all of it together. Nothing here retrieves or writes answers.
"""
