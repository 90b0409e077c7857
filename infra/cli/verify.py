"""`connectors verify`: what differs between the log and its copy."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from contracts.verification import Difference, Part, VerifyPage
from infra.cli.client import Gateway
from infra.cli.reach import reach

SAME, DIFFERS, TROUBLE = 0, 1, 2
"""Exit codes, as of diff(1)."""

THINGS = {
    Part.EVENTS: "facts",
    Part.TURNS: "model turns, accounts and notes of attempts",
    Part.DEAD: "dead letters",
    Part.ARTIFACTS: "artifacts",
}


async def verify(as_json: bool, url: str | None, data: Path, out: Console, err: Console) -> int:
    """Print each difference as it is found, then how much was compared."""
    checked: dict[Part, int] = {}
    differing: dict[Part, int] = {}
    async with reach(url, data, in_trouble=True) as gateway:
        with err.status("comparing") as status:
            for part in Part:
                checked[part] = differing[part] = 0
                after: str | None = ""
                while after is not None:
                    page = await _page(gateway, part, after)
                    after, checked[part] = page.next, checked[part] + page.checked
                    differing[part] += len(page.differences)
                    for difference in page.differences:
                        _show(difference, as_json, out)
                    status.update(f"compared {checked[part]:,} {THINGS[part]}")
    if as_json:
        _print({"checked": checked, "differences": differing, "same": not any(differing.values())}, out)
    else:
        _conclude(checked, differing, out)
    return DIFFERS if any(differing.values()) else SAME


async def _page(gateway: Gateway, part: Part, after: str) -> VerifyPage:
    return await gateway.read("/verify", VerifyPage, part=part, after=after)


def _show(difference: Difference, as_json: bool, out: Console) -> None:
    if as_json:
        _print({"difference": difference.model_dump(mode="json", exclude_defaults=True)}, out)
        return
    out.print(
        f"{difference.part}{_place(difference)}: {difference.what}", style="red", markup=False, soft_wrap=True
    )


def _place(difference: Difference) -> str:
    named = f" {difference.sha256}" if difference.sha256 else ""
    if not difference.first:
        return named
    upto = f" to {difference.last}" if difference.last != difference.first else ""
    return f" {difference.first}{upto}{named}"


def _conclude(checked: dict[Part, int], differing: dict[Part, int], out: Console) -> None:
    for part, count in checked.items():
        found = differing[part]
        verdict = f"[red]{found:,} differences[/]" if found else "[green]equal[/]"
        out.print(f"{count:,} {THINGS[part]}: {verdict}")


def _print(line: dict[str, object], out: Console) -> None:
    out.file.write(json.dumps(line) + "\n")
