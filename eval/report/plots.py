"""The plots of a report, as SVG that stands in the page and takes its ink from it, light or dark. Needs the extra `eval`."""

import io
import re
from typing import Any

from rankvideo_rag.backends import import_optional
from rankvideo_rag.eval.report.markup import Html, element
from rankvideo_rag.eval.report.records import ArchiveReport

matplotlib = import_optional("matplotlib", "report")
figures = import_optional("matplotlib.figure", "report")

_INK = "#010203"  # becomes the colour of the text around the picture
_BLUE, _ORANGE, _GREY = "#3f83d1", "#d9822b", "#8c8c8c"  # seen on white and on black
_ID = re.compile(r' id="([^"]*)"')
_ROOT = re.compile(r'<svg\b[^>]*?viewBox="(?P<box>[^"]*)"[^>]*>')


def gain_picture(report: ArchiveReport) -> Html | None:
    """Share of the questions that gain at most so much; None where none is judged."""
    gains = [one.gain for one in report.questions if one.gain is not None]
    if not gains:
        return None
    figure, axes = _canvas()
    axes.ecdf(gains, color=_BLUE, linewidth=2)
    axes.axvline(0, color=_GREY, linewidth=1, linestyle="--")
    widest = max(0.1, *(abs(gain) for gain in gains)) * 1.05
    axes.set(
        xlim=(-widest, widest),
        ylim=(0, 1.02),
        xlabel=f"{report.benefit.measure} with reranking less without",
        ylabel="share of questions",
    )
    axes.locator_params(axis="x", nbins=5)
    found = report.benefit
    caption = (
        f"Gain of each question: {found.better} gain, {found.worse} lose, {found.equal} stay as they were. The curve tells how "
        f"many gain at most so much; all that lies left of 0 was hurt."
    )
    return _svg(figure, caption, "gain")


def cost_picture(report: ArchiveReport) -> Html | None:
    """Quality by the number of videos watched; None where none was."""
    watched = [point.watched for point in report.curve]
    if max(watched, default=0) == 0:
        return None
    figure, axes = _canvas()
    axes.plot(watched, [point.mean for point in report.curve], "o-", color=_BLUE, linewidth=2)
    axes.set(xlabel="videos watched a question, from the top", ylabel=report.benefit.measure, xlim=(-0.5, max(watched) * 1.05))
    axes.locator_params(axis="x", integer=True)
    axes.margins(y=0.15)
    seconds, pairs = report.benefit.seconds_per_query, report.benefit.pairs_per_query
    cost = "nobody timed it"
    if seconds and pairs:
        of_one = seconds / pairs
        top = axes.secondary_xaxis("top", functions=(lambda n: n * of_one, lambda s: s / of_one))
        top.set_xlabel("seconds a question", color=_INK)
        top.spines["top"].set_color(_INK)
        top.tick_params(color=_INK, labelcolor=_INK)
        cost = f"{of_one:.3g} s a video"
    caption = f"Quality against cost, had only the first so many videos been watched ({cost})."
    return _svg(figure, caption, "cost")


def calibration_picture(report: ArchiveReport) -> Html | None:
    """How often pairs are relevant, by the probability that the reranker gave; None where nothing is judged."""
    found = report.calibration
    if found.error is None:
        return None
    figure, axes = _canvas()
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--")
    sizes = [30 + 250 * one.pairs / found.pairs for one in found.bins]
    axes.plot([one.p_yes for one in found.bins], [one.relevant for one in found.bins], color=_ORANGE, linewidth=1.5)
    axes.scatter([one.p_yes for one in found.bins], [one.relevant for one in found.bins], s=sizes, color=_ORANGE, alpha=0.8)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="mean p_yes", ylabel="share relevant")
    caption = (
        f"Calibration over {found.pairs} pairs, {found.relevant} of them relevant: expected error {found.error:.3f}. Larger "
        f"points hold more pairs; on the dashed line p_yes is the share that is relevant."
    )
    return _svg(figure, caption, "calibration")


def _canvas() -> tuple[Any, Any]:
    figure = figures.Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for side in axes.spines.values():
        side.set_color(_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(color=_INK, labelcolor=_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _svg(figure: Any, caption: str, name: str) -> Html:
    """The figure in HTML. `name` makes the ids that it refers to differ from those of others on the page."""
    drawn = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Type", "Format"))
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = _ID.sub(lambda found: found[0] if f"#{found[1]}" in svg else "", svg)  # matplotlib numbers its groups in every figure
    svg = _ROOT.sub(lambda root: f'<svg viewBox="{root["box"]}" xmlns:xlink="http://www.w3.org/1999/xlink" role="img">', svg, 1)
    return element("figure", Html(svg), element("figcaption", caption))
