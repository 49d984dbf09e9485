"""Plot the results of a rerank benchmark. Needs the extra `eval`."""

from pathlib import Path
from typing import Any

from rankvideo_rag.backends import import_optional
from rankvideo_rag.eval.benchmarks.rerank import RerankReport

figures = import_optional("matplotlib.figure", "picture")

_COLOURS = {
    "decode": "#8c8c8c",
    "preprocess": "#c2a878",
    "vision": "#4c78a8",
    "prefill": "#e45756",
    "read": "#54a24b",
    "other": "#d9d9d9",
}


def draw(report: RerankReport, path: Path) -> None:
    """Write a PNG: seconds by number of questions, together and one by one, and by stage."""
    figure = figures.Figure(figsize=(11, 4.2), layout="constrained")
    curve, bars = figure.subplots(1, 2)
    _draw_curve(curve, report)
    _draw_stages(bars, report)
    figure.suptitle(f"{report.device} · {report.frames} · median of {report.repeats}", fontsize=9)
    figure.savefig(path, dpi=150, format="png")


def _draw_curve(axes: Any, report: RerankReport) -> None:
    counts = list(report.questions)
    axes.plot(counts, [report.questions[n].one_by_one for n in counts], "o-", label="one by one, question first")
    axes.plot(counts, [report.questions[n].together for n in counts], "o-", label="together, video first")
    for count in counts:
        label = f"{report.speedup[count]:.1f}x"
        axes.annotate(
            label, (count, report.questions[count].together), textcoords="offset points", xytext=(0, -14), ha="center"
        )
    axes.set(xscale="log", yscale="log", xlabel="questions on one video", ylabel="seconds", title="Scoring one video")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.margins(y=0.2)
    axes.legend(frameon=False)


def _draw_stages(axes: Any, report: RerankReport) -> None:
    left = dict.fromkeys(report.stages, 0.0)
    for stage, colour in _COLOURS.items():
        widths = [stages[stage].seconds for stages in report.stages.values()]
        axes.barh(list(left), widths, left=list(left.values()), color=colour, label=stage)
        left = {way: left[way] + width for way, width in zip(left, widths, strict=True)}
    overlap = report.overlap_seconds
    axes.set(
        xlabel="seconds for the same questions",
        title=f"Stages; {overlap.videos} videos end to end: {report.overlap:.2f}x the slower of decoder and model",
    )
    axes.title.set_fontsize(9)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8, ncols=len(_COLOURS), loc="upper center", bbox_to_anchor=(0.5, -0.14))
