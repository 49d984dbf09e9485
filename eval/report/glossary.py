"""One-line descriptions of the measures of answers, for readers of a report. The modules of eval/answers/ define them."""

_DESCRIPTIONS = {
    "Right": "right answers, as defined under “Where wrong answers failed”",
    "InfoP": "MiRAGE: claims of the answer that the reference supports",
    "InfoR": "MiRAGE: claims of the reference that the answer supports",
    "InfoF1": "harmonic mean of InfoP and InfoR",
    "CiteP": "MiRAGE: claims of the answer that the reference's claims about the cited videos support",
    "CiteR": "MiRAGE: claims of the reference that the sentences citing their videos support",
    "CiteF1": "harmonic mean of CiteP and CiteR",
    "NuggetStrictVital": "vital claims of the reference that the answer fully contains",
    "NuggetStrictAll": "claims of the reference that the answer fully contains",
    "NuggetVital": "vital claims of the reference, partly contained ones counting half",
    "NuggetAll": "claims of the reference, partly contained ones counting half",
    "CitationRecall": "ALCE: sentences that their citations support",
    "CitationPrecision": "ALCE: citations that their sentence needs",
    "ARGUE-SentenceSupport": "sentences whose citations all support them, of those that cite or should",
    "ARGUE-NuggetCoverage": "claims of the reference that such sentences answer",
    "ARGUE-WeightedCoverage": "the same, vital claims counting twice",
    "ARGUE-CitationRelevance": "citations of a video that supports some claim of the reference",
    "ARGUE-CitationSupport": "citations that support their sentence",
    "ARGUE-F1": "harmonic mean of SentenceSupport and NuggetCoverage",
    "TimeP@0.5": "citations that overlap a span of the reference with a temporal IoU of at least 0.5",
    "TimeR@0.5": "claims with spans that a citation overlaps this much",
    "TimeP@hit": "citations whose middle lies in a span of the reference",
    "TimeR@hit": "claims with spans in which the middle of a citation lies",
    "Correct": "answers that entail the reference's answer",
    "AnswerF1": "words in common with the reference's answer",
    "AbstainP": "abstaining answers whose question the archive does not answer",
    "AbstainR": "questions that the archive does not answer on which the answer abstains",
    "AbstainF1": "harmonic mean of AbstainP and AbstainR",
}
_SUFFIXES = {
    "(micro)": "; over all questions at once",
    "(collection)": "; checked against the videos",
    "(original)": "; as the published code counts",
}


def describe_measure(measure: str) -> str:
    """Return the description of a measure, "" where there is none."""
    name, bracket, suffix = measure.partition("(")
    description = _DESCRIPTIONS.get(name)
    return "" if description is None else description + _SUFFIXES.get(bracket + suffix, "")
