"""`connectors export` and `connectors import`: a pipeline as a file."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from contracts.errors import Rejected
from contracts.exchange import Imported
from infra.cli.control import Options
from infra.cli.reach import reach


async def export(pipeline: str, target: Path | None, options: Options, out: Console) -> int:
    """Write the pipeline's file. It gets its name when it is whole.

    Raises:
        Rejected: there is no such pipeline, or the file cannot be written.
        Permanent: the transfer was broken off.
    """
    path = target or Path(f"pipeline-{pipeline}.zip")
    partial = path.with_name(path.name + ".part")
    async with reach(options.url, options.data) as gateway:
        try:
            with partial.open("wb") as file:
                async for chunk in gateway.chunks(f"/pipelines/{pipeline}/export"):
                    file.write(chunk)
            partial.replace(path)
        except OSError as error:
            raise Rejected(f"the file cannot be written: {error.strerror}", where=str(path)) from None
        finally:
            partial.unlink(missing_ok=True)
    out.print(f"[bold]{escape(str(path))}[/]  {path.stat().st_size:,} bytes", soft_wrap=True)
    out.print(
        "It holds the pipeline's facts and all that was made of them: the API's document, recorded answers, code, "
        "reports. Look into it before you give it away.",
        style="dim",
        soft_wrap=True,
    )
    return 0


async def import_(source: Path, options: Options, out: Console) -> int:
    """Take in a file that was exported, here or elsewhere.

    Raises:
        Rejected: there is no such file, or it is no exported pipeline, or contradicts what is here.
    """
    if not source.is_file():
        raise Rejected("there is no such file; give one that `connectors export` wrote", where=str(source))
    async with reach(options.url, options.data) as gateway:
        taken = Imported.model_validate(await gateway.upload("/imports", source, "application/zip"))
    added = f"{taken.facts} facts and {taken.artifacts} artifacts" if taken.facts else "nothing new"
    out.print(f"[bold]pipeline {taken.pipeline_id}[/]  {added}", soft_wrap=True)
    if taken.missing:
        out.print(f"[yellow]{len(taken.missing)} artifacts were lost where it was exported[/]", soft_wrap=True)
    out.print(f"read it: connectors replay {taken.pipeline_id}", style="dim", soft_wrap=True)
    out.print(f"go on from it: connectors fork {taken.pipeline_id} --at N", style="dim", soft_wrap=True)
    return 0
