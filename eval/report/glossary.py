"""What the measures of answers mean, in a line each, for those who read a report. Their definitions stand in eval/answers/."""

_MEANINGS = {
    "Right": "right answers, as defined under “Where wrong answers were lost”",
    "InfoP": "MiRAGE: claims of the answer that the reference bears out",
    "InfoR": "MiRAGE: claims of the reference that the answer bears out",
    "InfoF1": "harmonic mean of InfoP and InfoR",
    "CiteP": "MiRAGE: claims of the answer borne out by the reference's claims of the videos that they cite",
    "CiteR": "MiRAGE: claims of the reference borne out by what cites their videos",
    "CiteF1": "harmonic mean of CiteP and CiteR",
    "NuggetStrictVital": "vital claims of the reference that the answer holds in full",
    "NuggetStrictAll": "claims of the reference that the answer holds in full",
    "NuggetVital": "the same of vital ones, one held in part counting half",
    "NuggetAll": "the same of all, one held in part counting half",
    "CitationRecall": "ALCE: sentences that their citations bear out",
    "CitationPrecision": "ALCE: citations that their sentence needs",
    "ARGUE-SentenceSupport": "sentences cited as they should be",
    "ARGUE-NuggetCoverage": "claims of the reference in sentences that are cited as they should be",
    "ARGUE-WeightedCoverage": "the same, vital ones counting twice",
    "ARGUE-CitationRelevance": "citations of a video that bears out some claim of the reference",
    "ARGUE-CitationSupport": "citations that bear out their sentence",
    "ARGUE-F1": "harmonic mean of SentenceSupport and NuggetCoverage",
    "TimeP@0.5": "citations that cover mostly the same time as a span of the reference (temporal IoU of 0.5)",
    "TimeR@0.5": "claims with spans of which a citation covers one so",
    "TimeP@hit": "citations whose middle lies in a span of the reference",
    "TimeR@hit": "claims with spans of which a citation's middle lies in one",
    "Correct": "answers that bear out the reference's answer",
    "AnswerF1": "words in common with the reference's answer",
    "AbstainP": "answers that abstain on a question that the archive does not answer",
    "AbstainR": "questions that the archive does not answer on which the answer abstains",
    "AbstainF1": "harmonic mean of AbstainP and AbstainR",
}
_WAYS = {
    "(micro)": "; over all questions at once",
    "(collection)": "; by what is seen in the videos",
    "(original)": "; as the published code counts",
}


def meaning_of(measure: str) -> str:
    """What a measure means; nothing for one that is not known here."""
    name, bracket, way = measure.partition("(")
    found = _MEANINGS.get(name)
    return "" if found is None else found + _WAYS.get(bracket + way, "")
