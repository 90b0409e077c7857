"""How often a task was tried in vain.

The server counts deliveries, and a message that is given back counts as one (design.md, rule 9). So what was given
back, or got somewhere, is noted in the stream of turns; a strike is an earlier delivery with neither note.
"""

from __future__ import annotations

import json
from typing import Literal

from contracts import subjects
from contracts.services import Service
from infra.runtime.bus import Bus


class Strikes:
    """The notes of one service."""

    def __init__(self, bus: Bus, service: Service) -> None:
        self._bus = bus
        self._service = service

    async def count(self, task: str, delivered: int) -> int:
        """Lost attempts before delivery number ``delivered`` (from 1): no note is read for a first delivery.

        Raises:
            StreamUnavailable: the bus did not answer.
        """
        if delivered <= 1:
            return 0
        notes = await self._bus.reader.since(subjects.TURNS_STREAM, subjects.attempts(self._service.value, task))
        excused = {json.loads(note.data)["delivery"] for note in notes}
        return delivered - 1 - len(excused & set(range(1, delivered)))

    async def excuse(self, task: str, delivered: int, why: Literal["handed_back", "advanced"]) -> None:
        """Note that delivery ``delivered`` is no strike.

        Raises:
            nats.errors.Error, TimeoutError: the bus did not take the note.
        """
        await self._bus.js.publish(
            subjects.attempts(self._service.value, task),
            json.dumps({"delivery": delivered, "outcome": why}).encode(),
            headers={"Nats-Msg-Id": f"{self._service.value}/{task}/{delivered}"},
        )
