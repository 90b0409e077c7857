"""Which streams a package offers: asked of the package itself, in the sandbox."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.artifacts import Tree
from infra.runtime import sandbox
from infra.runtime.confinement import may_run
from infra.runtime.sandbox import Limits
from infra.runtime.toolchain import prepare_async
from infra.runtime.trees import write_tree

_LIMITS = Limits(wall_s=30, cpu_s=30, output_bytes=16 * 1024 * 1024)


async def offered(tree: Tree, package: str, config: dict[str, Any], *, unconfined: bool) -> frozenset[str]:
    """The streams that `discover` lists with ``config``; none if it does not answer.

    ``unconfined``: it may run where there is no isolation; else none are known there.

    Raises:
        Transient: the sandbox did not start.
    """
    isolation = await sandbox.probe()
    if not may_run(isolation, allowed=unconfined):
        return frozenset()
    python = (await prepare_async()).python
    with tempfile.TemporaryDirectory(prefix="discover-") as folder:
        await asyncio.to_thread(write_tree, Path(folder), tree)
        request = sandbox.Request(
            Path(folder),
            ("{python}", "-m", package, "discover", "--config", "{input}/config.json"),
            python=python,
            limits=_LIMITS,
            env={"PYTHONPATH": "{work}/src", "PYTHONDONTWRITEBYTECODE": "1"},
            files={"config.json": json.dumps(config).encode()},
        )
        report = await sandbox.run(request, isolation)
    return frozenset(_streams(report.stdout)) if report.ok else frozenset()


def _streams(output: bytes) -> Iterator[str]:
    """The names in the catalog. The code may print anything."""
    for line in output.splitlines():
        try:
            message = json.loads(line)
            yield from (str(stream["name"]) for stream in message["catalog"]["streams"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
