"""Plots of a report, as inline SVG in the colours of the page's text. Needs the extra `eval`."""

import io
import re
from typing import Any, NamedTuple

from markupsafe import Markup

from rankvideo_rag.backends import import_optional
from rankvideo_rag.eval.report.records import ArchiveReport

matplotlib = import_optional("matplotlib", "report")
matplotlib_figure = import_optional("matplotlib.figure", "report")

_TEXT = "#010203"  # replaced by the colour of the text around the plot
_BLUE, _ORANGE, _GREY = "#3f83d1", "#d9822b", "#8c8c8c"  # visible on white and on black
_ID = re.compile(r' id="([^"]*)"')
_ROOT = re.compile(r'<svg\b[^>]*?viewBox="(?P<box>[^"]*)"[^>]*>')


class Plot(NamedTuple):
    """A figure and its caption."""

    svg: Markup
    caption: str


def plot_gains(report: ArchiveReport) -> Plot | None:
    """Plot the share of the questions that gain at most so much by reranking; None where no question is judged."""
    gains = [one.gain for one in report.questions if one.gain is not None]
    if not gains:
        return None
    figure, axes = _axes()
    axes.ecdf(gains, color=_BLUE, linewidth=2)
    axes.axvline(0, color=_GREY, linewidth=1, linestyle="--")
    widest = max(0.1, *(abs(gain) for gain in gains)) * 1.05
    label = f"{report.benefit.measure} with reranking minus without"
    axes.set(xlim=(-widest, widest), ylim=(0, 1.02), xlabel=label, ylabel="share of questions")
    axes.locator_params(axis="x", nbins=5)
    counts = report.benefit
    caption = (
        f"Gain of each question: {counts.better} gain, {counts.worse} lose, {counts.equal} do not change. The curve gives the "
        f"share of questions that gain at most so much; questions left of 0 lose."
    )
    return Plot(_svg(figure, "gain"), caption)


def plot_cost(report: ArchiveReport) -> Plot | None:
    """Plot quality by the number of videos that the reranker scores; None where it scored none."""
    videos = [point.videos for point in report.curve]
    if max(videos, default=0) == 0:
        return None
    figure, axes = _axes()
    axes.plot(videos, [point.mean for point in report.curve], "o-", color=_BLUE, linewidth=2)
    axes.set(xlabel="videos scored per question", ylabel=report.benefit.measure, xlim=(-0.5, max(videos) * 1.05))
    axes.locator_params(axis="x", integer=True)
    axes.margins(y=0.15)
    seconds, pairs = report.benefit.seconds_per_query, report.benefit.pairs_per_query
    cost = "not timed"
    if seconds and pairs:
        per_video = seconds / pairs
        top = axes.secondary_xaxis("top", functions=(lambda n: n * per_video, lambda s: s / per_video))
        top.set_xlabel("seconds per question", color=_TEXT)
        top.spines["top"].set_color(_TEXT)
        top.tick_params(color=_TEXT, labelcolor=_TEXT)
        cost = f"{per_video:.3g} s per video"
    return Plot(_svg(figure, "cost"), f"Quality against cost, if only the first videos of each question were scored ({cost}).")


def plot_calibration(report: ArchiveReport) -> Plot | None:
    """Plot how often pairs are relevant by the reranker's probability; None where no pair is judged."""
    calibration = report.calibration
    if calibration.error is None:
        return None
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--")
    sizes = [30 + 250 * one.pairs / calibration.pairs for one in calibration.bins]
    p_yes, relevant = [one.p_yes for one in calibration.bins], [one.relevant for one in calibration.bins]
    axes.plot(p_yes, relevant, color=_ORANGE, linewidth=1.5)
    axes.scatter(p_yes, relevant, s=sizes, color=_ORANGE, alpha=0.8)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="mean p_yes", ylabel="share relevant")
    caption = (
        f"Calibration over {calibration.pairs} pairs, {calibration.relevant} of them relevant: expected calibration error "
        f"{calibration.error:.3f}. Larger points hold more pairs; on the dashed line p_yes equals the share that is relevant."
    )
    return Plot(_svg(figure, "calibration"), caption)


def _axes() -> tuple[Any, Any]:
    figure = matplotlib_figure.Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for spine in axes.spines.values():
        spine.set_color(_TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(color=_TEXT, labelcolor=_TEXT)
    axes.xaxis.label.set_color(_TEXT)
    axes.yaxis.label.set_color(_TEXT)
    return figure, axes


def _svg(figure: Any, name: str) -> Markup:
    """Return a figure as inline SVG. `name` keeps its ids distinct from those of the other plots on the page."""
    drawn = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        no_metadata = dict.fromkeys(("Date", "Creator", "Type", "Format"))
        figure.savefig(drawn, format="svg", transparent=True, metadata=no_metadata)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :].replace(_TEXT, "currentColor")
    svg = _ID.sub(lambda found: found[0] if f"#{found[1]}" in svg else "", svg)  # matplotlib uses the same group ids each time
    svg = _ROOT.sub(lambda root: f'<svg viewBox="{root["box"]}" xmlns:xlink="http://www.w3.org/1999/xlink" role="img">', svg, 1)
    return Markup(svg)  # matplotlib escapes the text in it
