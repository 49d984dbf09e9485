"""Measure answers against references: what they say, what they cite and when they abstain.

Read answers and references with `io`, pair them with `records.make_cases`, and measure them with `evaluate.evaluate_answers`.
Each measure is one module; it asks a judge about claims through a `judgement_cache.JudgementCache`. Judges are the
modules of `judges/`.
"""
