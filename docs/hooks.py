"""MkDocs hook: generate the command line and settings reference from the code."""

from typing import Any

import typer.main
from typer.core import TyperGroup


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the `<!-- cli -->` and `<!-- settings -->` markers of a page."""
    if "<!-- cli -->" in markdown:
        from rankvideo_rag.cli import app

        command = typer.main.get_command(app)
        context = typer.Context(command, info_name="rankvideo")
        markdown = markdown.replace("<!-- cli -->", _command(command, "rankvideo", context))
    if "<!-- settings -->" in markdown:
        markdown = markdown.replace("<!-- settings -->", _settings())
    return markdown


def _command(command: Any, name: str, context: typer.Context) -> str:
    """One command as a section, its subcommands after it."""
    usage = command.get_usage(context).removeprefix("Usage: ")
    parts = [] if name == "rankvideo" else [f"## {name}\n\n{command.help or ''}\n\n```sh\n{usage}\n```\n"]
    rows = [_row(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", False)]
    if rows and name != "rankvideo":
        parts.append("| argument or option | meaning |\n|---|---|\n" + "\n".join(rows) + "\n")
    if isinstance(command, TyperGroup):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                parts.append(_command(found, f"{name} {child}", typer.Context(found, info_name=child, parent=context)))
    return "\n".join(parts)


def _row(parameter: Any, context: typer.Context) -> str:
    record = parameter.get_help_record(context)
    if record is None or parameter.param_type_name == "argument":
        return f"| `{parameter.name.upper()}` | {_cell(getattr(parameter, 'help', None) or '')} |"
    return f"| `{record[0]}` | {_cell(record[1])} |"


def _settings() -> str:
    """Every setting with its default and meaning."""
    from rankvideo_rag.settings import Settings

    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        if field.description:
            rows.append(f"| `{name}` | `{field.default}` | {_cell(field.description)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
