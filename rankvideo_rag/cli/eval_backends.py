"""rankvideo verify: do two backends give the same verdicts?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from rankvideo_rag.cli.console import note, out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson, Device

if TYPE_CHECKING:
    from rankvideo_rag.eval.backend_agreement import BackendAgreement
    from rankvideo_rag.models.vlm import Prompt
    from rankvideo_rag.models.vlm.prompt_spec import PromptSpec

DIFFER = 1  # exit code
_WORST = 12  # pairs that are listed; --json has all of them


def verify(
    backend: Annotated[list[str], typer.Option(help="Two of them: transformers, vllm, server, …", show_default=False)],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Checkpoint, address or recording: one for both backends, or one for each; - for none.", show_default=False
        ),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="The name of a prompt format; by default the first model's own.", show_default=False)
    ] = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option(help="Videos, or folders of them; by default a little world is rendered.", show_default=False),
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Texts to ask of each video: id, tab, text a line.", show_default=False)
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of a video and a question to compare.")] = 64,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Nats by which margins may differ.")] = 0.02,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Ask two backends the same, and hold tokens, margins and order against each other. Exit code 1: they differ."""
    from rankvideo_rag.eval.backend_agreement import compare_backends
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.models.vlm.prompt_spec import resolve_prompt_spec

    models = _models(backend, model)
    spec = resolve_prompt_spec(prompt, models[0])
    prompts = _prompts(spec, videos, questions, pairs)
    if len(prompts) < pairs and (videos or questions):
        note(f"these videos and questions make {len(prompts)} pairs")
    # A server runs its model where it likes, and a recording runs none.
    first, second = (
        load_vlm(name, of_backend, device=None if name in ("server", "recorded") else device)
        for name, of_backend in zip(backend, models, strict=True)
    )
    found = compare_backends(first, second, prompts, spec.labels, tolerance=tolerance)
    if as_json:
        print_json(found.model_dump())
    else:
        _print(found)
    if not found.agree:
        raise typer.Exit(DIFFER)


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
    """`count` prompts at most: every question of one video, then of the next."""
    from tempfile import TemporaryDirectory

    from rankvideo_rag import synthetic
    from rankvideo_rag.formats.rankvideo import read_queries
    from rankvideo_rag.media import MediaLimits, read_frames
    from rankvideo_rag.media.discover import discover
    from rankvideo_rag.settings import Settings

    per_video = 8
    limits = MediaLimits.from_settings(Settings.load())
    texts = list(read_queries(questions).values()) if questions else []
    with TemporaryDirectory() as folder:
        world = [] if videos and texts else synthetic.render_archive(folder, clips=max(6, -(-count // per_video)))
        texts = texts or [asked.text for asked in synthetic.generate_questions(world) if asked.channel == "visual"][:per_video]
        prompts: list[Prompt] = []
        for path in discover(videos or [Path(folder)]):
            if len(prompts) >= count:
                break
            frames = read_frames(str(path), budget=spec.frames, limits=limits)
            prompts += [spec.prompt(text, frames) for text in texts]
    return prompts[:count]


def _print(found: "BackendAgreement") -> None:
    table = plain_table(f"The pairs that differ most, of {len(found.pairs)}")
    for name in ("pair", "first", "second", "difference", "tokens"):
        table.add_column(name, justify="left" if name == "tokens" else "right")
    ranked = sorted(enumerate(found.pairs, start=1), key=lambda one: -(one[1].difference or float("inf")))
    for number, pair in ranked[:_WORST]:
        tokens = {None: "unknown", True: "same", False: "[red]different[/]"}[pair.same_tokens]
        table.add_row(str(number), _margin(pair.first), _margin(pair.second), _margin(pair.difference), tokens)
    out.print(f"first   {escape(found.first_name)}\nsecond  {escape(found.second_name)}\n")
    out.print(table)
    for reason in sorted({reason for pair in found.pairs for reason in (pair.first_reason, pair.second_reason) if reason}):
        out.print(f"no margin: {shown(reason)}")
    out.print(f"Tokens that the models read: {found.tokens}.")
    largest = "none, no pair has a margin from both" if found.largest is None else f"{found.largest:.2e} nats"
    out.print(f"Largest difference: {largest}; tolerance {found.tolerance:g}.")
    out.print(f"Order of the pairs: {'identical' if found.order_identical else 'not identical'}.")
    if found.agree:
        out.print("[bold green]They agree.[/]")
    else:
        out.print(f"[bold red]They differ:[/] {escape('; '.join(found.reasons))}.")


def _margin(value: float | None) -> str:
    return "-" if value is None else f"{value:+.6f}"
