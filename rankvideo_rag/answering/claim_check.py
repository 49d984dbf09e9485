"""Decide whether evidence supports a claim, contradicts it, or leaves it unchecked, by rules.

Overlap of content words alone accepts "it did not win" for "it won". So quantities, negation, names, roles, comparisons,
causes, hedges and scope are conditions of their own, and overlap decides only between claims that meet them. What rules cannot
decide, such as free paraphrases and translations, is unchecked.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from rankvideo_rag.answering.claim_quantities import Finding, bind, check_quantities, is_same
from rankvideo_rag.answering.claim_words import LANGUAGES, find_words
from rankvideo_rag.answering.clauses import Clause, Passage, Term, names_in, read_passage
from rankvideo_rag.text.languages import language_of
from rankvideo_rag.text.sentences import split_sentences
from rankvideo_rag.text.tokens import split_words

MIN_COVERAGE = 0.75  # share of the content words of a clause that its evidence must contain

MIN_RESTATED = 0.6  # share of a sentence's words and quantities that a text which it restates contains
_NAME_WEIGHT = 0.4  # names say less of what a clause states than other words
_TELLING = frozenset({"tell", "ask"})

Decision = Literal["supported", "contradicted", "unchecked"]


class Verdict(NamedTuple):
    """What the evidence says of a claim."""

    decision: Decision
    reason: str | None = None  # why it is not supported
    coverage: float = 0.0  # share, from 0 to 1, of the claim's words and quantities that the evidence contains
    is_open: bool = False  # unchecked because of its wording alone: an NLI model may decide
    is_related: bool = True  # false: none of its words are in the evidence, which is in the same language


class _Aligned(NamedTuple):
    """A clause of a claim with the clause of the evidence that shares most of its words."""

    clause: Clause
    best: Clause
    share: float  # of the clause's words
    window: list[Clause]  # the sentence of the best clause, and its neighbours


def check_claim(claim: str, question: str, evidence: Sequence[str], titles: Sequence[str] = ()) -> Verdict:
    """Compare a claim with the sentences of its evidence. Words of the question and of titles need no evidence.

    >>> check_claim("It leaves at 9.", "When does it leave?", ["The ferry leaves at nine."]).decision
    'supported'
    >>> check_claim("The ferry does not leave.", "", ["The ferry leaves at nine."]).decision
    'contradicted'
    """
    stated, claimed = read_passage(evidence), read_passage(split_sentences(claim), _language(claim, evidence))
    if _is_verbatim(claim, evidence):
        return Verdict("supported", coverage=1.0)
    coverage, is_related = _coverage(claimed, stated)
    findings = [*check_quantities(claimed, stated, question), *_language_findings(claimed, stated, _known(question, titles))]
    if not is_related:
        findings.insert(0, Finding(False, "the evidence says nothing of it", is_open=True))
    worst = max(findings, key=lambda finding: finding.contradicts, default=None)
    if worst is None:
        return Verdict("supported", None, coverage)
    is_open = all(finding.is_open for finding in findings)
    return Verdict("contradicted" if worst.contradicts else "unchecked", worst.reason, coverage, is_open, is_related)


def restates(sentence: str, text: str) -> bool:
    """Return whether a text contains most of a sentence's words and quantities."""
    coverage, is_related = _coverage(read_passage(split_sentences(sentence)), read_passage(split_sentences(text)))
    return is_related and coverage >= MIN_RESTATED


def _coverage(claimed: Passage, stated: Passage) -> tuple[float, bool]:
    """Return the share of a claim's words and quantities that the evidence contains, and whether it is related at all."""
    stored, quantities = _lemmas(stated.clauses), [bound.quantity for bound in bind(stated)]
    found = [term.lemma in stored for clause in claimed.clauses for term in clause.terms]
    found += [any(is_same(bound.quantity, other) for other in quantities) for bound in bind(claimed)]
    foreign = bool(claimed.languages) and claimed.languages[0] not in stated.languages
    return sum(found) / len(found) if found else 0.0, any(found) or (foreign and bool(found))


def _language(claim: str, evidence: Sequence[str]) -> str | None:
    """Return the language of a claim; that of the evidence where nothing tells, or where they share half of their words."""
    theirs, words = language_of(" ".join(evidence)), split_words(claim)
    stored = {word for sentence in evidence for word in split_words(sentence)}
    shares_half = 2 * sum(word in stored for word in words) >= len(words)
    return theirs if shares_half else language_of(claim) or theirs


def _known(question: str, titles: Sequence[str]) -> set[str]:
    """Return the lemmas of words that need no evidence."""
    passages = [read_passage([text]) for text in (question, *titles) if text.strip()]
    return {lemma for passage in passages for lemma in _lemmas(passage.clauses)}


def _is_verbatim(claim: str, evidence: Sequence[str]) -> bool:
    """Return whether the claim is one or more whole sentences of the evidence, one after the other."""
    wanted = split_words(claim)
    words = [split_words(sentence) for sentence in evidence]
    return any(
        [word for sentence in words[first:last] for word in sentence] == wanted
        for first in range(len(words))
        for last in range(first + 1, min(first + 4, len(words)) + 1)
    )


def _language_findings(claimed: Passage, stated: Passage, known: set[str]) -> Iterator[Finding]:
    language = claimed.clauses[0].language if claimed.clauses else "en"
    if language not in LANGUAGES:
        yield Finding(False, "its language is not one whose statements can be compared", is_open=True)
        return
    if language not in stated.languages:
        yield Finding(False, "its evidence is in another language", is_open=True)
        return
    names = names_in([claimed, stated])
    for clause in claimed.clauses:
        aligned = _align(clause, stated, known)
        if aligned is None:
            if clause.terms and not _adds_nothing(clause, known):
                yield Finding(False, "the evidence does not say all of it", is_open=True)
            continue
        yield from _check_words(aligned, known, names)
        yield from _check_negation(aligned, stated, known)
        yield from _check_certainty(aligned)
        yield from _check_scope(aligned)
        yield from _check_roles(clause, stated, names)
        yield from _check_listener(clause, stated, names)
    yield from _check_causes(claimed, stated, known)
    yield from _check_comparisons(claimed, stated)


def _lemmas(clauses: Sequence[Clause]) -> set[str]:
    return {term.lemma for clause in clauses for term in clause.terms}


def _align(clause: Clause, stated: Passage, known: set[str]) -> _Aligned | None:
    """Return the clause of the evidence that shares most words with one of the claim; None if none shares any."""
    wanted = {term.lemma for term in clause.terms}
    if not wanted:
        return None

    def score(other: Clause) -> tuple[float, float, float]:
        near = len(wanted & _lemmas(stated.window(other.sentence, 0)))
        return _shared_weight(clause, other) + 0.5 * len(clause.values & other.values), near, -len(other.terms)

    candidates = [other for other in stated.clauses if not other.is_question and other.language == clause.language]
    best = max(candidates, key=score, default=None)
    if best is None or not (shared := wanted & {term.lemma for term in best.terms}):
        return None
    return _Aligned(clause, best, len(shared) / len(wanted), stated.window(best.sentence))


def _shared_weight(clause: Clause, other: Clause) -> float:
    """Return how many words of a clause another one has. Names and the first word, the subject, say less of what it states."""
    shared = {term.lemma for term in clause.terms} & {term.lemma for term in other.terms}
    lesser = {term.lemma for term in clause.terms if term.capitalised} if clause.language != "de" else set()
    lesser |= {clause.terms[0].lemma} if len(clause.terms) > 1 else set()
    return len(shared - lesser) + _NAME_WEIGHT * len(shared & lesser)


def _adds_nothing(clause: Clause, known: set[str]) -> bool:
    """Return whether a clause holds a quantity at most, which is checked by itself, and words of the question."""
    if any(term.weight and term.lemma not in known for term in clause.terms):
        return False
    return bool(clause.values) or not any(term.weight for term in clause.terms)


def _check_words(aligned: _Aligned, known: set[str], names: set[str]) -> Iterator[Finding]:
    """Yield what the clause names or says and the evidence around its best clause does not."""
    stored = _lemmas(aligned.window)
    missing = [t for t in aligned.clause.terms if t.lemma not in stored and t.lemma not in known and t.weight]
    if not missing:
        return
    added = [t for t in aligned.clause.terms if t.lemma not in known and t.weight]
    named = [t for t in missing if t.capitalised or t.lemma in names]
    if named:
        yield Finding(False, "it names what the evidence does not")
    elif any(t.dense for t in missing) or len(missing) > 1 or 1 - len(missing) / len(added) < MIN_COVERAGE:
        yield Finding(False, "the evidence does not say all of it", is_open=True)


def _check_negation(aligned: _Aligned, stated: Passage, known: set[str]) -> Iterator[Finding]:
    """Yield that one side denies what the other affirms."""
    clause, best = aligned.clause, aligned.best
    if clause.is_negated == best.is_negated:
        return
    wanted = {term.lemma for term in clause.terms}
    shared = wanted & {term.lemma for term in best.terms}
    agreeing = [other for other in stated.clauses if other.is_negated == clause.is_negated]
    if any(_shared_weight(clause, other) >= _shared_weight(clause, best) for other in agreeing):
        return
    said = "denies" if clause.is_negated else "affirms"
    reason = f"it {said} what the evidence {'affirms' if clause.is_negated else 'denies'}"
    missing = [t for t in clause.terms if t.lemma not in shared]
    certain = not missing or (missing == [clause.terms[0]] and bool(missing[0].weight) and len(clause.terms) > 1)
    partial = clause.has("partial") or best.has("partial") or not clause.values <= best.values
    less_certain = best.has("hedge") and not clause.has("hedge")
    yield Finding(certain and not partial and not less_certain, reason)


def _contributing(aligned: _Aligned) -> list[Clause]:
    """Return the clauses that the claim's clause takes words from: the best one, and the nearest for words that it lacks."""
    found, best = [aligned.best], aligned.best
    for term in aligned.clause.terms:
        if all(term.lemma != other.lemma for other in best.terms):
            places = [c for c in aligned.window if any(term.lemma == other.lemma for other in c.terms)]
            found += sorted(places, key=lambda c: (abs(c.sentence - best.sentence), abs(c.start - best.start)))[:1]
    return list(dict.fromkeys(found))


def _check_certainty(aligned: _Aligned) -> Iterator[Finding]:
    """Yield that the evidence is less certain than the claim."""
    clause = aligned.clause
    sources = _contributing(aligned)
    if any(source.has("hedge") for source in sources) and not clause.has("hedge"):
        yield Finding(False, "the evidence is less certain")
    if clause.has("certain") and not any(source.has("certain") for source in aligned.window):
        yield Finding(False, "the evidence is less certain")
    at = [c.start for c in aligned.window].index(aligned.best.start)
    near = aligned.window[max(at - 1, 0) : at + 1]
    conditional = [c for c in near if c.sentence == aligned.best.sentence and c.has("condition")]
    if conditional and not clause.has("condition"):
        yield Finding(False, "the evidence states a condition")


def _check_scope(aligned: _Aligned) -> Iterator[Finding]:
    """Yield that the claim is about more than the evidence is."""
    clause, window = aligned.clause, aligned.window
    sources = [c for c in window if c.sentence == aligned.best.sentence]
    if any(clause.has(table) and not any(c.has(table) for c in window) for table in ("universal", "only", "never")):
        yield Finding(any(c.has("partial") for c in sources), "the evidence does not say so of all")
    elif any(c.has("partial") for c in _contributing(aligned)) and not (clause.has("partial") or clause.values):
        yield Finding(False, "the evidence says so of a part")


def _check_roles(clause: Clause, stated: Passage, names: set[str]) -> Iterator[Finding]:
    """Yield that somebody else does what the claim says, or that two change places."""
    for at, (term, verb) in enumerate(pairwise(clause.terms)):
        if term.lemma not in names or verb.lemma in names:
            continue
        objects = [t.lemma for t in clause.terms[at + 2 :] if t.lemma in names]
        places = [c for c in stated.clauses if any(t.lemma == verb.lemma for t in c.terms)]
        most = max((_shared_weight(clause, c) for c in places), default=0.0)
        places = [c for c in places if _shared_weight(clause, c) > most - 1]
        yield from _compare_roles({term.lemma}, objects, verb.lemma, places, names)
        return


def _check_listener(clause: Clause, stated: Passage, names: set[str]) -> Iterator[Finding]:
    """Yield that the evidence has as speaker whom the claim has as listener."""
    for verb, term in pairwise(clause.terms):
        if (
            verb.lemma in _TELLING
            and term.lemma in names
            and not any(t.lemma in names and t.start < verb.start for t in clause.terms)
        ):
            places = [c for c in stated.clauses if any(t.lemma == verb.lemma for t in c.terms)]
            if places and all(term.lemma in _roles_in(place, verb.lemma, names)[0] for place in places):
                yield Finding(True, "the evidence says so of somebody else")


def _compare_roles(
    subjects: set[str], objects: Sequence[str], verb: str, places: Sequence[Clause], names: set[str]
) -> Iterator[Finding]:
    if not places:
        return
    roles = [_roles_in(place, verb, names) for place in places]
    if any(subjects & before or not (before | after) for before, after in roles):
        swapped = objects and all(set(objects) & before for before, after in roles if before | after)
        if not swapped:
            return
    if any(before and not subjects & before for before, _ in roles):
        yield Finding(True, "the evidence says so of somebody else")
    elif all(after for _, after in roles):
        yield Finding(False, "the evidence does not say who did so to whom")


def _roles_in(place: Clause, verb: str, names: set[str]) -> tuple[set[str], set[str]]:
    """Return the names before and after a verb; those after "by" count as before it."""
    start = next(term.start for term in place.terms if term.lemma == verb)
    agents = _agents(place, names)
    before, after = set[str](), set[str]()
    for term in place.terms:
        if term.lemma in names:
            (before if term.start < start or term in agents else after).add(term.lemma)
    return before, after


def _agents(place: Clause, names: set[str]) -> set[Term]:
    """Return the names that follow "by" directly."""
    found = set[Term]()
    for match in find_words("passive", place.text, place.language):
        end = place.start + match.end()
        for term in place.terms:
            if term.lemma in names and 0 <= term.start - end <= 1:
                found.add(term)
                end = term.end
    return found


def _check_causes(claimed: Passage, stated: Passage, known: set[str]) -> Iterator[Finding]:
    """Yield that the claim gives a cause that the evidence does not give."""
    for clause in claimed.clauses:
        if not clause.has("cause"):
            continue
        aligned = _align(clause, stated, known)
        if aligned is None:
            yield Finding(False, "the evidence does not give this cause")
        elif not any(c.has("cause") or c.has("loose cause") for c in aligned.window if c.sentence == aligned.best.sentence):
            yield Finding(False, "the evidence does not say that this is the cause")


def _check_comparisons(claimed: Passage, stated: Passage) -> Iterator[Finding]:
    """Yield that a comparison is turned round."""
    for sentence in range(len(claimed.sentences)):
        for ours in _comparisons(claimed, sentence):
            theirs = [c for number in range(len(stated.sentences)) for c in _comparisons(stated, number) if c.word == ours.word]
            if any(ours.right & one.right or (not ours.right and ours.left & one.left) for one in theirs):
                continue
            if any(ours.right & one.left or ours.left & one.right for one in theirs):
                yield Finding(True, "the evidence compares the other way round")
            elif ours.is_degree:
                yield Finding(False, "the evidence does not compare these")


class _Comparison(NamedTuple):
    word: str
    left: set[str]
    right: set[str]
    is_degree: bool  # more … than, not before or after


def _comparisons(passage: Passage, sentence: int) -> Iterator[_Comparison]:
    clauses = [clause for clause in passage.clauses if clause.sentence == sentence]
    for at, clause in enumerate(clauses):
        compares = find_words("comparison", clause.text, clause.language)
        for match in find_words("compared with", clause.text, clause.language):
            before = [m for m in compares if m.start() <= match.start()]
            if not before:
                continue
            place = clause.start + match.start()
            left = {t.lemma for t in clause.terms if t.end <= place}
            if not left and at:
                left = {t.lemma for t in clauses[at - 1].terms}
            right = {t.lemma for t in clause.terms if t.start >= clause.start + match.end()}
            shared = left & right
            yield _Comparison(
                before[-1][0].casefold(),
                left - shared,
                right - shared,
                match[0].casefold() in ("than", "als", "que", "比", "ahead of", "behind"),
            )
