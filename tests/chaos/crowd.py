"""The load of a fleet: users who submit through two gateways at once and watch live, and what is left of it all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from contracts import subjects
from contracts.envelope import Envelope
from contracts.events import FINAL
from contracts.services import AGENTS
from infra.runtime.bus import Bus
from infra.runtime.stack import StackConfig
from tests.chaos.agents import Begun
from tests.chaos.judge import Verdict, histories, judge
from tests.chaos.left import look
from tests.chaos.plays import Play
from tests.chaos.users import AGAIN_S, Users
from tests.support.fleet import Fleet
from tests.support.gateway import sent_events
from tests.support.legal import illegal

AT_A_TIME = 10
ENVIRONMENT = {"CONNECTORS_ACK_WAIT_S": "2", "CONNECTORS_SLOTS": "4", "CONNECTORS_UNKNOWN_RETRY_S": "0.5"}
LIVE_TIMEOUT = httpx2.Timeout(10, read=60)


def scripted(folder: Path, environment: Mapping[str, str] | None = None) -> StackConfig:
    """A fleet's configuration below ``folder``: agents do what `plays` says."""
    return StackConfig(
        folder / "data",
        folder / "output",
        port=0,
        modules=dict.fromkeys(AGENTS, "tests.chaos.agents"),
        environment={**ENVIRONMENT, **(environment or {})},
    )


@dataclass
class Crowd(Users):
    """``seen``: pipeline -> the positions that its live stream has shown. Streams that ended before their pipeline
    did are ``handed_over`` when they ended as they should, else ``broken``."""

    seen: dict[str, list[int]] = field(default_factory=dict)
    handed_over: int = 0
    broken: int = 0
    _watchers: list[asyncio.Task[None]] = field(default_factory=list)

    async def play(self, plays: Iterable[Play]) -> None:
        """All of them to their end, `AT_A_TIME`; the next is taken when there is room."""
        remaining = iter(plays)

        async def user() -> None:
            for play in remaining:
                await self.run(play)

        await asyncio.gather(*(user() for _ in range(AT_A_TIME)))
        await asyncio.gather(*self._watchers)

    async def _insist(self, path: str, body: dict[str, Any] | None = None, *, key: str = "") -> httpx2.Response:
        """The same submission to two gateways at once is one pipeline."""
        if path != "/generate":
            return await super()._insist(path, body, key=key)
        first, second = await asyncio.gather(*(super(Crowd, self)._insist(path, body, key=key) for _ in range(2)))
        pipeline: str = first.json()["pipeline_id"]
        assert pipeline == second.json()["pipeline_id"]
        self._watchers.append(asyncio.create_task(self._watch(pipeline)))
        return first

    async def _watch(self, pipeline: str) -> None:
        seen = self.seen[pipeline] = []
        while True:
            with contextlib.suppress(httpx2.TransportError):  # it went to a gateway that takes nothing any more
                if await self._watch_once(pipeline, seen):
                    return
            await asyncio.sleep(AGAIN_S)

    async def _watch_once(self, pipeline: str, seen: list[int]) -> bool:
        """Whether the pipeline has ended."""
        headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
        path = f"/pipelines/{pipeline}/live"
        async with self.http.stream("GET", path, headers=headers, timeout=LIVE_TIMEOUT) as answer:
            if answer.status_code != 200:
                return answer.status_code == 204
            try:
                async for event in sent_events(answer):
                    if event.event == "fact":
                        seen.append(int(event.id or 0))
                        if event.data["type"] in FINAL:
                            return True
            except httpx2.TransportError:
                self.broken += 1
            else:
                self.handed_over += 1
        return False


@dataclass(frozen=True)
class Left:
    """What a load has left. ``attempts`` are the tasks that were begun, as often as they were; ``again`` those of
    them that were not the first; ``strikes`` those of ``again`` before which nobody had given the work back."""

    verdict: Verdict
    illegal: tuple[str, ...]
    unseen: tuple[str, ...]
    attempts: int
    again: int
    strikes: int
    facts: int

    @property
    def findings(self) -> tuple[str, ...]:
        """What is lost, there twice, divergent, decided against the policy, or was missed by who watched."""
        verdict = self.verdict
        return (*verdict.lost, *verdict.duplicated, *verdict.divergent, *self.illegal, *self.unseen)


async def what_is_left(fleet: Fleet, crowd: Crowd, bus: Bus, *, url: str | None = None) -> Left:
    """``url``: of the event store's database, if it is not the default."""
    seen = await look(fleet.config.data, crowd.accepted, bus, crowd.http, url=url)
    pipelines = histories(seen.stream)
    notes = await bus.reader.since(subjects.TURNS_STREAM, subjects.ALL_ATTEMPTS)
    excused = Counter(note.subject for note in notes if json.loads(note.data)["outcome"] == "handed_back")
    again, strikes = repeats(seen.begun, excused)
    return Left(
        judge(seen),
        tuple(line for facts in pipelines.values() for line in illegal(facts)),
        tuple(unseen(crowd.seen, pipelines)),
        len(seen.begun),
        again,
        strikes,
        len(seen.stream),
    )


def repeats(begun: Iterable[Begun], excused: Mapping[str, int]) -> tuple[int, int]:
    """How many attempts were not the first of their task, and before how many nobody had given the work back."""
    attempts = Counter(subjects.attempts(one.service, one.task) for one in begun)
    again = {task: count - 1 for task, count in attempts.items()}
    return sum(again.values()), sum(max(0, count - excused.get(task, 0)) for task, count in again.items())


def unseen(seen: Mapping[str, Sequence[int]], pipelines: Mapping[str, Sequence[Envelope]]) -> Iterator[str]:
    """Live streams that did not show each fact once, in order, up to the final one."""
    for pipeline, positions in seen.items():
        facts = pipelines[pipeline]
        last = next((n for n, fact in enumerate(facts, start=1) if fact.type in FINAL), len(facts))
        if list(positions) != list(range(1, last + 1)):
            yield f"the live stream of {pipeline} showed {positions} of {last} facts"
