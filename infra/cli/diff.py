"""`connectors diff`: what two moments of a pipeline differ in, above all in the code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.text import Text

from contracts.artifacts import ArtifactRef
from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent
from contracts.reports import TestReport
from gateway.answers import StateAt
from infra.cli.changes import Change, blueprint_changes, report_changes, state_changes
from infra.cli.client import Gateway
from infra.cli.contents import fetch, fetch_all, manifest, state_at
from infra.cli.printable import printable
from infra.cli.reach import reach
from infra.cli.state import told
from infra.cli.tree_diff import FileDiff, tree_diff

SHOWN = 8
"""Lines of each kind of change; JSON has all."""

_STYLES = {"+": "green", "-": "red", "@": "cyan"}
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Found:
    """All that is different between two moments."""

    before: StateAt
    after: StateAt
    state: Sequence[Change]
    blueprint: Sequence[Change]
    report: Sequence[Change]
    code: Sequence[FileDiff]


async def diff(
    pipeline: str, before: int, after: int | None, as_json: bool, url: str | None, data: Path, out: Console
) -> int:
    """Print what changed from position ``before`` to ``after`` (``None``: now).

    Raises:
        Rejected: no such pipeline, or fewer facts.
    """
    async with reach(url, data, in_trouble=True) as gateway:
        found = await compare(gateway, pipeline, before, after)
    if as_json:
        _print_json(found, out)
    else:
        show(found, out)
    return 0


async def compare(gateway: Gateway, pipeline: str, before: int, after: int | None) -> Found:
    """Fetches only what is not the same in both."""
    old, new = await state_at(gateway, pipeline, before), await state_at(gateway, pipeline, after)
    one, two = old.state, new.state
    blueprints = await _both(gateway, one.blueprint, two.blueprint, ApiBlueprint)
    reports = await _both(gateway, one.test_report, two.test_report, TestReport)
    return Found(
        old,
        new,
        state_changes(one, two),
        blueprint_changes(*blueprints),
        report_changes(*reports),
        await _code(gateway, one.code, two.code),
    )


async def _both(
    gateway: Gateway, old: ArtifactRef | None, new: ArtifactRef | None, model: type[M]
) -> tuple[M | None, M | None]:
    if old == new:
        return None, None
    return await _content(gateway, old, model), await _content(gateway, new, model)


async def _content(gateway: Gateway, ref: ArtifactRef | None, model: type[M]) -> M | None:
    if ref is None:
        return None
    try:
        return model.model_validate_json(await fetch(gateway, ref))
    except ValidationError as error:
        what = f"this is no {model.__name__} that this code can read: {error.errors()[0]['msg']}"
        raise Permanent(what, where=ref.sha256) from None


async def _code(gateway: Gateway, old: ArtifactRef | None, new: ArtifactRef | None) -> list[FileDiff]:
    if old == new:
        return []
    one, two = await manifest(gateway, old), await manifest(gateway, new)
    changed = {path for path in {*one, *two} if one.get(path) != two.get(path)}
    trees = [
        await fetch_all(gateway, {path: ref for path, ref in each.items() if path in changed})
        for each in (one, two)
    ]
    return list(tree_diff(*trees))


def show(found: Found, out: Console) -> None:
    """A few lines of what changed, then the code's diff; plain where it is not a terminal, so patch(1) takes it."""
    old, new = found.before, found.after
    out.print(
        f"{new.state.name}  {new.pipeline_id}  {old.position} -> {new.position}", markup=False, soft_wrap=True
    )
    for name in ("state", "blueprint", "report"):
        changes: Sequence[Change] = getattr(found, name)
        out.print(f"{name}: {_count(len(changes), 'change')}" if changes else f"{name}: the same", soft_wrap=True)
        for line in told(changes[:SHOWN]):
            out.print(f"  {line}", soft_wrap=True)
        if len(changes) > SHOWN:
            out.print(f"  [dim]and {len(changes) - SHOWN:,} more (--json has all)[/]")
    out.print(_code_line(found), soft_wrap=True)
    for file in found.code:
        _show_file(file, out)


def _code_line(found: Found) -> str:
    if found.code:
        added, removed = sum(file.added for file in found.code), sum(file.removed for file in found.code)
        return f"code: {_count(len(found.code), 'file')}, {added:,} lines more, {removed:,} lines less"
    return "code: the same" if found.after.state.code else "code: there was none yet"


def _show_file(file: FileDiff, out: Console) -> None:
    if file.note:
        out.print(f"{file.status} {printable(file.path)}: {file.note}", markup=False, soft_wrap=True)
        return
    if not out.is_terminal:
        out.file.write(file.text)
        return
    for line in file.text.splitlines():
        style = "bold" if line.startswith(("---", "+++")) else _STYLES.get(line[:1], "")
        out.print(Text(printable(line), style), soft_wrap=True)


def _print_json(found: Found, out: Console) -> None:
    changes = {name: [one._asdict() for one in getattr(found, name)] for name in ("state", "blueprint", "report")}
    told = {
        "pipeline_id": found.after.pipeline_id,
        "from": found.before.position,
        "to": found.after.position,
        **changes,
        "code": [asdict(file) for file in found.code],
    }
    out.file.write(json.dumps(told, indent=2) + "\n")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
