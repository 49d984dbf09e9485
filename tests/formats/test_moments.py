"""Moments as document ids, and their overlap."""

import pytest

from rankvideo_rag.formats.moments import Moment, parse_moment, temporal_iou


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 10), (5, 20), 0.25),
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (10, 20), 0.0),  # half open: they touch and do not meet
        ((2, 4), (0, 10), 0.2),
        ((0, 1), (8, 9), 0.0),
    ],
)
def test_temporal_iou_by_hand(one: tuple[float, float], other: tuple[float, float], expected: float) -> None:
    assert temporal_iou(Moment("v", *one), Moment("v", *other)) == pytest.approx(expected)
    assert temporal_iou(Moment("v", *other), Moment("v", *one)) == pytest.approx(expected)
    assert temporal_iou(Moment("v", *one), Moment("w", *other)) == 0.0


def test_moments_round_trip() -> None:
    for moment in (Moment("v7", 0.0, 12.5), Moment("26292851@N04_42#x", 1.25, 3600.123)):
        assert parse_moment(moment.document_id) == moment
