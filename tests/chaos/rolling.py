"""``python -m tests.chaos.rolling OLD_CODE FOLDER``: roll all services of a fleet to the version of this code.

Each runs OLD_CODE first and gives way, under load, to the one that is here, both side by side for a while. Agents
go first and the router last: so facts of the newer version reach everything that is older. Then older processes are
put beside the newer ones, as when a change is taken back. Exit code 1 if anything was lost, is there twice,
differs, or was not seen; what was counted is printed as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import httpx2

from contracts.events import ConnectorGenerated
from contracts.services import AGENTS, Service
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from tests.chaos.crowd import Crowd, Left, scripted, what_is_left
from tests.chaos.plays import Play
from tests.support.fleet import Fleet, running_fleet

TOGETHER_S = 1.0
REST = (*(service for service in AGENTS if service is not Service.GENERATOR),)


async def rolled(old: Path, folder: Path) -> tuple[Left, dict[str, Any]]:
    async with (
        running_fleet(scripted(folder), old) as fleet,
        connect(fleet.nats.settings(ADMIN), ADMIN) as bus,
        fleet.client() as http,
    ):
        await fleet.scale(1)
        crowd = Crowd(http, bus)
        async with fleet.release(Path.cwd()), asyncio.TaskGroup() as group:
            rolling = group.create_task(_roll(fleet, bus, http, old))
            numbers = takewhile(lambda _: not rolling.done(), count())
            await crowd.play(Play.of(f"rolled-{number}") for number in numbers)
            left = await what_is_left(fleet, crowd, bus)
        told = rolling.result()
        told |= {"pipelines": len(crowd.accepted), "handed_over": crowd.handed_over, "broken": crowd.broken}
        return left, told | {"stop_s": max(one.stop_s or 0 for one in fleet.stopped)}


async def _roll(fleet: Fleet, bus: Bus, http: httpx2.AsyncClient, old: Path) -> dict[str, Any]:
    """What was found on the way."""
    await asyncio.sleep(1)
    await fleet.roll(Service.GENERATOR, together_s=TOGETHER_S)
    pipeline = await _newer_pipeline(bus)
    told: dict[str, Any] = {"of_older": await _answers(http, pipeline)}
    told["ready_of_older"] = all([await replica.child.ready() for replica in fleet.replicas])
    for services in (REST, (Service.EVENT_STORE,), (Service.GATEWAY,), (Service.ROUTER,)):
        await fleet.roll(*services, together_s=TOGETHER_S)
    async with fleet.release(old):  # taken back
        await fleet.start(Service.ROUTER)
        await fleet.start(Service.TESTER)
        await asyncio.sleep(TOGETHER_S)
        told["ready_of_taken_back"] = all([await replica.child.ready() for replica in fleet.replicas])
    told["of_newer"] = await _answers(http, pipeline)
    return told


async def _newer_pipeline(bus: Bus) -> str:
    """One that an older router cannot read."""
    subject = f"pipelines.*.{ConnectorGenerated.TYPE}"
    while True:
        for said in await bus.reader.since("EVENTS", subject):
            if json.loads(said.data)["dataversion"] == ConnectorGenerated.VERSION:
                return said.subject.split(".")[1]
        await asyncio.sleep(0.1)


async def _answers(http: httpx2.AsyncClient, pipeline: str) -> dict[str, int]:
    """What the gateways answer about it: path -> status."""
    found = {}
    for path in ("", "/state", "/events?limit=1000", "/costs"):
        found[path] = (await http.get(f"/pipelines/{pipeline}{path}")).status_code
    async with http.stream("GET", f"/pipelines/{pipeline}/live") as live:
        found["/live"] = live.status_code
    found["list"] = (await http.get("/pipelines")).status_code
    return found


def main() -> int:
    old, folder = map(Path, sys.argv[1:])
    left, told = asyncio.run(rolled(old, folder))
    found = {name: list(getattr(left.verdict, name)) for name in ("lost", "duplicated", "divergent")}
    found |= {key: value for key, value in asdict(left).items() if key != "verdict"}
    print(json.dumps(found | told, indent=1))
    return 1 if left.findings else 0


if __name__ == "__main__":
    sys.exit(main())
