"""`connectors dead`: what no service could handle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from infra.cli.client import Gateway
from infra.cli.reach import reach


class Letters(BaseModel):
    """A page of ``GET /dead``; ``next`` is the link of the following one."""

    letters: tuple[dict[str, Any], ...]
    next: str | None


async def list_letters(as_json: bool, url: str | None, data: Path, out: Console) -> int:
    """Print every letter."""
    async with reach(url, data, in_trouble=True) as gateway:
        letters = await _all(gateway)
    if as_json:
        out.file.write(Letters(letters=tuple(letters), next=None).model_dump_json(include={"letters"}) + "\n")
    elif not letters:
        out.print("there are no dead letters")
    else:
        out.print(_table(letters), soft_wrap=True)
    return 0


async def _all(gateway: Gateway) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = []
    link: str | None = "/dead"
    while link is not None:
        page = await gateway.read(link, Letters)
        letters += page.letters
        link = page.next
    return letters


def _table(letters: list[dict[str, Any]]) -> Table:
    table = Table("id", "time", "service", "pipeline", "cause", box=None)
    for letter in letters:
        when = str(letter["time"])[:19].replace("T", " ")
        table.add_row(str(letter["id"]), when, letter["service"], letter["pipeline_id"], letter["cause"])
    return table


async def retry(letter: int, url: str | None, data: Path, out: Console) -> int:
    """Ask for another attempt, and say in which pipeline: a fork, if the letter's own has failed."""
    async with reach(url, data, in_trouble=True) as gateway:
        accepted = await gateway.post(f"/dead/{letter}/retry")
    out.print(f"pipeline {accepted['pipeline_id']} ({accepted['status']}): the step is to be tried once more")
    return 0
