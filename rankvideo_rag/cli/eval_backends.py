"""rankvideo eval compare-backends: compare the scores of two backends."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import FAILED, make_table, note, out, printable, render
from rankvideo_rag.cli.options import AsJson, Device

if TYPE_CHECKING:
    from rankvideo_rag.eval.backend_agreement import BackendAgreement
    from rankvideo_rag.models.vlm import Prompt
    from rankvideo_rag.models.vlm.prompt_spec import PromptSpec

_LISTED = 12  # pairs that are printed; --json has all of them
_PER_VIDEO = 8  # questions per rendered video


def compare_backends(
    backend: Annotated[list[str], typer.Option(help="Two backends: transformers, vllm, server, ...")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Checkpoint, address or recording: one for both backends, or one for each; - for none."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Name of a prompt; by default the first model's own.")] = None,
    videos: Annotated[list[Path] | None, typer.Option(help="Videos or folders; by default clips are rendered.")] = None,
    questions: Annotated[Path | None, typer.Option(help="Questions for each video: id, tab, text.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of video and question to compare.")] = 64,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Largest allowed difference of margins, in nats.")] = 0.02,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Score the same pairs with two backends and compare tokens, margins and order. Exit code 1: they differ."""
    from rankvideo_rag.eval.backend_agreement import compare_backends as compare
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.models.vlm.prompt_spec import resolve_prompt_spec

    models = _models(backend, model)
    spec = resolve_prompt_spec(prompt, models[0])
    prompts = _prompts(spec, videos, questions, pairs)
    if len(prompts) < pairs and (videos or questions):
        note(f"these videos and questions make {len(prompts)} pairs")
    # A server chooses its own device, and a recording needs none.
    first, second = (
        load_vlm(name, of_backend, device=None if name in ("server", "recorded") else device)
        for name, of_backend in zip(backend, models, strict=True)
    )
    found = compare(first, second, prompts, spec.labels, tolerance=tolerance)
    render(found.model_dump(), lambda: _print(found), as_json=as_json)
    if not found.agree:
        raise typer.Exit(FAILED)


def _models(backends: list[str], models: list[str] | None) -> list[str | None]:
    from rankvideo_rag.errors import InputError

    if len(backends) != 2:
        raise InputError(f"--backend was given {len(backends)} times: give the two backends to compare")
    if not models or len(models) == 1:
        return [models[0] if models else None] * 2
    if len(models) != 2:
        raise InputError(f"--model was given {len(models)} times: give one for both backends, or one for each")
    return [None if one == "-" else one for one in models]


def _prompts(spec: "PromptSpec", videos: list[Path] | None, questions: Path | None, count: int) -> "list[Prompt]":
    """Return at most `count` prompts: every question of one video, then of the next."""
    from tempfile import TemporaryDirectory

    from rankvideo_rag import synthetic
    from rankvideo_rag.formats.rankvideo import read_queries
    from rankvideo_rag.media import MediaLimits, read_frames
    from rankvideo_rag.media.discover import discover
    from rankvideo_rag.settings import Settings

    limits = MediaLimits.from_settings(Settings.load())
    texts = list(read_queries(questions).values()) if questions else []
    with TemporaryDirectory() as folder:
        world = [] if videos and texts else synthetic.render_archive(folder, clips=max(6, -(-count // _PER_VIDEO)))
        texts = texts or [asked.text for asked in synthetic.generate_questions(world) if asked.channel == "visual"][:_PER_VIDEO]
        prompts: list[Prompt] = []
        for path in discover(videos or [Path(folder)]):
            if len(prompts) >= count:
                break
            frames = read_frames(str(path), budget=spec.frames, limits=limits)
            prompts += [spec.prompt(text, frames) for text in texts]
    return prompts[:count]


def _print(found: "BackendAgreement") -> None:
    ranked = sorted(enumerate(found.pairs, start=1), key=lambda one: -(one[1].difference or float("inf")))
    tokens = {None: "unknown", True: "the same", False: "[red]different[/]"}
    rows = (
        (str(number), _margin(pair.first), _margin(pair.second), _margin(pair.difference), tokens[pair.same_tokens])
        for number, pair in ranked[:_LISTED]
    )
    out.print(f"first   {printable(found.first_name)}\nsecond  {printable(found.second_name)}\n")
    title = f"The pairs that differ most, of {len(found.pairs)}"
    out.print(make_table(("pair", "first", "second", "difference", "tokens"), rows, title=title, left=0))
    for reason in sorted({reason for pair in found.pairs for reason in (pair.first_reason, pair.second_reason) if reason}):
        out.print(f"no margin: {printable(reason)}")
    out.print(f"Tokens that the models read: {found.tokens}.")
    largest = "none, no pair has a margin from both" if found.largest is None else f"{found.largest:.2e} nats"
    out.print(f"Largest difference: {largest}; tolerance {found.tolerance:g}.")
    out.print(f"Order of the pairs: {'identical' if found.order_identical else 'not identical'}.")
    if found.agree:
        out.print("[bold green]They agree.[/]")
    else:
        out.print(f"[bold red]They differ:[/] {printable('; '.join(found.reasons))}.")


def _margin(value: float | None) -> str:
    return "-" if value is None else f"{value:+.6f}"
