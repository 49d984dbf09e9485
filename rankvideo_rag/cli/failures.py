"""rankvideo failures: every file of an archive that is not wholly indexed, why, and what to do about it."""

from contextlib import closing

from rankvideo_rag.cli.console import out, print_json, shown
from rankvideo_rag.cli.options import Archive, AsJson


def failures(archive: Archive, as_json: AsJson = False) -> None:
    """List every file that is not wholly indexed, with its code, what was found, and what to do."""
    from rankvideo_rag.indexing.failure_hints import explain_failure
    from rankvideo_rag.storage.store import Store

    with closing(Store.open(archive)) as store:
        outcomes = store.outcomes()
    found = [explain_failure(file) for file in outcomes if file.outcome != "ok"]
    if as_json:
        print_json([failure.model_dump() for failure in found])
        return
    for failure in found:
        out.print(f"{failure.outcome} ({shown(failure.code)}): {shown(failure.path)}", soft_wrap=True)
        out.print(f"  found: {shown(failure.message)}\n  to do: {shown(failure.hint)}", soft_wrap=True)
    out.print(f"{len(found)} of {len(outcomes)} files are not wholly indexed.")
