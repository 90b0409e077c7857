"""A newer version of the code: facts as it says them, and the whole of it as a folder to start processes in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from contracts.envelope import Envelope
from infra.runtime import clock
from infra.runtime.bus import Bus

ROOT = Path(__file__).parents[2]
NOTED = "pipeline.noted"
"""A type that nobody here knows."""


async def say(bus: Bus, pipeline: str, type_: str, version: int, data: dict[str, Any], *, source: str) -> Envelope:
    """Append it behind whatever the pipeline has now."""
    envelope = Envelope(
        id=clock.new_id(),
        source=source,
        type=type_,
        dataversion=version,
        time=clock.now(),
        subject=pipeline,
        data=data,
    )
    _, last = await bus.log.read(pipeline)
    await bus.log.append(envelope, expected_last=last)
    return envelope


_CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "contracts/events.py": (
        (
            'TYPE = "connector.generated"\n    VERSION = 2\n',
            'TYPE = "connector.generated"\n    VERSION = 3\n    lines: int\n',
        ),
        ('TYPE = "tests.requested"\n', 'TYPE = "tests.requested"\n    VERSION = 2\n    hurry: bool\n'),
    ),
    "contracts/upcasts.py": (
        (
            "UPCASTS: dict[tuple[str, int], Upcast] = {\n",
            "UPCASTS: dict[tuple[str, int], Upcast] = {\n"
            '    ("connector.generated", 2): lambda data: {**data, "lines": 0},\n'
            '    ("tests.requested", 1): lambda data: {**data, "hurry": False},\n',
        ),
    ),
    "services/router/policy.py": (("e.TestsRequested(", "e.TestsRequested(hurry=True, "),),
    "tests/support/scripted.py": (("e.ConnectorGenerated(", "e.ConnectorGenerated(lines=7, "),),
    "tests/chaos/plays.py": (("e.ConnectorGenerated(", "e.ConnectorGenerated(lines=7, "),),
}
"""What is different in the newer version: an agent's fact and a router's decision each have one more field, which
nothing can be without."""


def newer_release(folder: Path) -> Path:
    """Put the newer version into ``folder``: what it changes is copied, all else is the code of here."""
    folder.mkdir()
    for name in ("contracts", "services", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("gateway", "infra", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    for name, changes in _CHANGES.items():
        file = folder / name
        text = file.read_text()
        for old, new in changes:
            assert old in text, f"{name} has no {old!r} any more"
            text = text.replace(old, new)
        file.write_text(text)
    return folder
