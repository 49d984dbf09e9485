"""rankvideo doctor: what is installed, what each profile would download, and how to fix what is missing."""

from rankvideo_rag.cli.console import out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, which FFmpeg each media package bundles, and what each profile needs. Downloads nothing."""
    from rankvideo_rag.checkup import check_up

    checkup = check_up()
    if as_json:
        print_json(checkup.model_dump())
        return
    packages = plain_table("Packages")
    for column in ("package", "version", "needed by", "what to do"):
        packages.add_column(column)
    for package in checkup.packages:
        packages.add_row(package.name, package.version or "[red]missing[/]", package.needed_by, shown(package.remedy or ""))
    out.print(packages)
    out.print("[italic]Media libraries[/]")
    for library in checkup.media:
        warning = f" [red]({shown(library.warning)})[/]" if library.warning else ""
        out.print(f"  {library.package}: {shown(library.ffmpeg)}{warning}")
    profiles = plain_table("Profiles")
    for column in ("profile", "ready", "model", "about", "where"):
        profiles.add_column(column)
    for profile in checkup.profiles:
        ready = "[green]yes[/]" if not profile.missing else f"[yellow]{shown('; '.join(profile.missing))}[/]"
        rows = [
            (m.name, f"{m.gigabytes:.1f} GB", "in the cache" if m.cached else "would be downloaded") for m in profile.models
        ]
        for i, (name, size, where) in enumerate(rows or [("none", "", "")]):
            profiles.add_row(profile.name if i == 0 else "", ready if i == 0 else "", name, size, where)
    out.print(profiles)
    out.print(f"\nDevice: {shown(checkup.device)}")
