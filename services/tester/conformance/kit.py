"""The conformance kit: judges any executable that speaks the Airbyte protocol against a simulated API.

Black-box. What counts is what the process said and what the server saw; nothing is read from the connector's files
but what it answers. Every stream is judged for completeness; one stream of each shape for all the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.reports import Isolation
from contracts.simulation import SimulatedApi
from services.tester.conformance.bench import Bench, Pace, Run, Subject
from services.tester.conformance.checks import failed
from services.tester.conformance.session import Judgement, Knowledge, Say, Session


async def conform(
    subject: Subject,
    api: SimulatedApi,
    *,
    folder: Path,
    isolation: Isolation,
    knowledge: Knowledge | None = None,
    config: Mapping[str, Any] | None = None,
    pace: Pace | None = None,
    say: Say | None = None,
    specified: Run | None = None,
) -> Judgement:
    """Judge ``subject`` against ``api``.

    Args:
        folder: an empty folder with a short path, for the servers' sockets.
        config: one written by hand (see `given.Given`); without one it is made from the connector's `spec`.
        say: told of each step, one short line.
        specified: what `specify` gave, if it was asked before.

    Raises:
        Transient: the sandbox itself does not work.
    """
    bench = Bench(subject, api, folder, isolation, pace)
    session = Session(bench, knowledge or Knowledge(), config, say or _silent)
    try:
        async with asyncio.timeout(bench.pace.total_s):
            await session.judge(specified or await bench.spec())
    except TimeoutError:
        message = f"it was not judged to the end within {bench.pace.total_s:.0f} s"
        session.checks.append(failed("termination", None, "time", message))
    return session.judgement()


async def specify(
    subject: Subject, api: SimulatedApi, *, folder: Path, isolation: Isolation, pace: Pace | None = None
) -> Run:
    """Ask for the connector's specification alone (``run.transcript.spec``). Arguments as of `conform`."""
    return await Bench(subject, api, folder, isolation, pace).spec()


async def _silent(_: str) -> None:
    return None
