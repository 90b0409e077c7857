"""The users of a chaos run: each submits one pipeline and does what its play says, whatever answers or does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import nats.errors

from contracts.envelope import Envelope
from contracts.errors import Transient
from contracts.events import FINAL
from contracts.pipeline import fold, outstanding
from contracts.services import Service
from infra.runtime.bus import Bus
from tests.chaos.plays import Play

AGAIN_S = 0.3
REQUEST_TIMEOUT_S = 30
DONE = (202, 409)
"""Accepted, or the pipeline has ended in the meantime."""


@dataclass
class Users:
    """``accepted``: pipeline -> its play, once the gateway has answered 202; ``ended``: who was seen to end."""

    http: httpx2.AsyncClient
    bus: Bus
    accepted: dict[str, Play] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    async def run(self, play: Play) -> None:
        """From the submit to the pipeline's end."""
        answer = await self._insist(
            "/generate",
            {
                "connector_name": play.name,
                "policy": play.policy.model_dump(),
                "document": {"openapi": "3.0.3", "info": {"title": play.name, "version": "1"}, "paths": {}},
            },
            key=play.name,
        )
        pipeline = answer.json()["pipeline_id"]
        self.accepted[pipeline] = play
        await asyncio.gather(
            self._cancel(pipeline, play), self._pause(pipeline, play), self._approve(pipeline, play)
        )
        await self._until(pipeline, _has_ended)
        self.ended.add(pipeline)

    async def _cancel(self, pipeline: str, play: Play) -> None:
        if play.cancelled_at is not None:
            service = play.cancelled_at
            facts = await self._until(pipeline, lambda facts: _has_ended(facts) or _is_at(facts, service))
            if not _has_ended(facts):
                await self._insist(f"/pipelines/{pipeline}/cancel")

    async def _pause(self, pipeline: str, play: Play) -> None:
        if play.paused_after is not None:
            kind = play.paused_after
            facts = await self._until(
                pipeline, lambda facts: _has_ended(facts) or any(f.type == kind for f in facts)
            )
            if not _has_ended(facts):
                await self._insist(f"/pipelines/{pipeline}/pause", key=f"{play.name}-pause")
                await asyncio.sleep(play.paused_s)
                await self._insist(f"/pipelines/{pipeline}/resume", key=f"{play.name}-resume")

    async def _approve(self, pipeline: str, play: Play) -> None:
        """Once somebody is asked."""
        if play.policy.approval == "none":
            return
        facts = await self._until(pipeline, lambda facts: _has_ended(facts) or fold(facts).approval is not None)
        if (request := fold(facts).approval) is not None:
            word = {"request": request, "decision": "granted" if play.granted else "denied"}
            await self._insist(f"/pipelines/{pipeline}/approval", word)

    async def _until(self, pipeline: str, reached: Callable[[list[Envelope]], bool]) -> list[Envelope]:
        while True:
            try:
                facts = [fact for _, fact in await self.bus.log.history(pipeline)]
            except (Transient, nats.errors.Error, TimeoutError):
                facts = []
            if reached(facts):
                return facts
            await asyncio.sleep(AGAIN_S)

    async def _insist(self, path: str, body: dict[str, Any] | None = None, *, key: str = "") -> httpx2.Response:
        """Send it until the gateway has said yes, or that it is too late."""
        headers = {"Idempotency-Key": key} if key else {}
        while True:
            try:
                answer = await self.http.post(path, json=body, headers=headers, timeout=REQUEST_TIMEOUT_S)
            except httpx2.TransportError:
                pass  # the gateway is down, or was killed before it could answer
            else:
                if answer.status_code in DONE:
                    return answer
                if answer.status_code < 500:
                    raise AssertionError(f"{path} was answered {answer.status_code}: {answer.text}")
            await asyncio.sleep(AGAIN_S)


def _has_ended(facts: list[Envelope]) -> bool:
    return any(fact.type in FINAL for fact in facts)


def _is_at(facts: list[Envelope], service: Service) -> bool:
    return any(task.service is service for task in outstanding(fold(facts)))
