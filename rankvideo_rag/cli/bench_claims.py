"""rankvideo bench claims: check labelled claims against their evidence."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import make_table, out, printable, render
from rankvideo_rag.cli.options import AsJson, setting_options

if TYPE_CHECKING:
    from rankvideo_rag.eval.benchmarks.claims import ClaimBenchmark, ClaimCounts

_COLUMNS = ("claims", "accepted", "unchecked", "contradicted", "dropped")


@setting_options("profile", "nli", "nli_model", "device")
def claims(
    file: Annotated[Path, typer.Argument(help="JSONL file of claims with their evidence.")],
    options: dict[str, Any],
    failures: Annotated[bool, typer.Option("--failures", help="Print each claim that was not decided rightly.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check labelled claims against their evidence, and count false accepts and false rejects."""
    from rankvideo_rag.eval.benchmarks.claims import benchmark_claims
    from rankvideo_rag.models.nli import load_nli
    from rankvideo_rag.settings import Settings

    settings = Settings.load(**options)
    report = benchmark_claims(file, load_nli(settings.nli, settings.nli_model, device=settings.device))
    render(report, lambda: _print(report, failures=failures), as_json=as_json)


def _print(report: "ClaimBenchmark", *, failures: bool) -> None:
    sides = {"supported": report.supported, "not supported": report.not_supported}
    for title, groups in (("all", sides), ("category", report.categories)):
        out.print(make_table((title, *_COLUMNS), map(_row, groups, groups.values())))
    out.print(f"false accept {_percent(report.false_accept)}, false reject {_percent(report.false_reject)}")
    for one in report.claims if failures else ():
        if (one.outcome == "accepted") is not one.supported:
            text = f"\n{one.id} {one.category} [bold]{one.outcome}[/] {printable(one.claim)}"
            out.print(text, soft_wrap=True)
            out.print(f"  {printable(one.reason or '')}", soft_wrap=True)


def _row(name: str, counts: "ClaimCounts") -> tuple[str, ...]:
    figures = (counts.claims, counts.accepted, counts.unchecked, counts.contradicted, counts.dropped)
    return (printable(name), *map(str, figures))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
