"""Do citations point to the right moment? Ours: published measures of answers take a citation for a whole video.

    TimeP@0.5, TimeR@0.5   a citation meets a reference span when their temporal IoU is at least 0.5
    TimeP@hit, TimeR@hit   it meets it when the middle of what is cited lies in the span

Precision is the share of the answer's citations, each place once, that meet any span of the reference; recall the share of
the reference's claims that have spans, of which some span is met by any citation. A citation of another video meets nothing.
"""

from collections.abc import Callable

from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue, share
from rankvideo_rag.formats.moments import Moment, temporal_iou

LEAST_OVERLAP = 0.5
_ROUNDING = 1e-9  # an overlap of 0.5 may come out as 0.4999999999999999

Meets = Callable[[Moment, Moment], bool]


def temporal_scores(case: Case) -> dict[str, MeasureValue]:
    """The four numbers of an answer; without a reference span there are none."""
    claims = [claim.spans for claim in case.reference.claims if claim.spans]
    cited = list(dict.fromkeys(Moment(one.video_id, one.start, one.end) for one in case.answer.citations))
    if not claims:
        nothing = MeasureValue(None, "no spans in the reference")
        return {f"Time{side}@{name}": nothing for name in _MEETS for side in "PR"}
    found = {}
    for name, meets in _MEETS.items():
        precise = [any(meets(one, span) for spans in claims for span in spans) for one in cited]
        found[f"TimeP@{name}"] = share(precise, of="citations in the answer")
        found[f"TimeR@{name}"] = share([any(meets(one, span) for one in cited for span in spans) for spans in claims], of="")
    return found


def overlaps(cited: Moment, span: Moment) -> bool:
    """Whether the two cover mostly the same time."""
    return temporal_iou(cited, span) >= LEAST_OVERLAP - _ROUNDING


def hits(cited: Moment, span: Moment) -> bool:
    """Whether the middle of what is cited lies in the span.

    >>> hits(Moment("v", 10, 20), Moment("v", 15, 60)), hits(Moment("v", 10, 20), Moment("v", 16, 60))
    (True, False)
    """
    return cited.video == span.video and span.start <= (cited.start + cited.end) / 2 < span.end


_MEETS: dict[str, Meets] = {"0.5": overlaps, "hit": hits}
