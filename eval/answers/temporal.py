"""Do citations point to the right time? (Our own measure: published ones take a citation for a whole video.)

    TimeP@0.5, TimeR@0.5   a citation matches a reference span when their temporal IoU is at least 0.5
    TimeP@hit, TimeR@hit   a citation matches a reference span when its middle lies in the span

Precision is the share of the answer's distinct citations that match any span of the reference; recall is the share of the
reference's claims with spans of which any citation matches one. A citation of another video matches nothing.
"""

from collections.abc import Callable
from itertools import chain, product

from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue, share
from rankvideo_rag.formats.moments import Moment, temporal_iou

MIN_OVERLAP = 0.5
_ROUNDING = 1e-9  # an overlap of 0.5 may be computed as 0.4999999999999999


def temporal_scores(case: Case) -> dict[str, MeasureValue]:
    """Return the four scores of an answer; None where the reference has no spans."""
    claims = [claim.spans for claim in case.reference.claims if claim.spans]
    cited = list(dict.fromkeys(one.moment for one in case.answer.citations))
    scores = {}
    for name, matches in _MATCHES.items():
        precise = [any(matches(one, span) for span in chain(*claims)) for one in cited]
        recalled = [any(matches(one, span) for one, span in product(cited, spans)) for spans in claims]
        scores[f"TimeP@{name}"] = share(precise, of="citations in the answer")
        scores[f"TimeR@{name}"] = share(recalled, of="claims with spans")
    return scores if claims else dict.fromkeys(scores, MeasureValue(None, "no spans in the reference"))


def overlaps(cited: Moment, span: Moment) -> bool:
    """Return whether the temporal IoU of the two is at least MIN_OVERLAP."""
    return temporal_iou(cited, span) >= MIN_OVERLAP - _ROUNDING


def hits(cited: Moment, span: Moment) -> bool:
    """Return whether the middle of a citation lies in the span.

    >>> hits(Moment("v", 10, 20), Moment("v", 15, 60)), hits(Moment("v", 10, 20), Moment("v", 16, 60))
    (True, False)
    """
    return cited.video == span.video and span.start <= (cited.start + cited.end) / 2 < span.end


_MATCHES: dict[str, Callable[[Moment, Moment], bool]] = {"0.5": overlaps, "hit": hits}
