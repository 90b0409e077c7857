"""What is to happen later: the server keeps the message and delivers it when its time has come (NATS ADR-51).

Used by the router for back-offs (design.md, rule 10). Setting a timer again, also with another time, replaces it;
a fired timer is delivered to the durable of `infra.runtime.durables.TIMERS_CONSUMER` until it is acknowledged.
"""

from __future__ import annotations

from datetime import UTC, datetime

from contracts import subjects
from infra.runtime.bus import Bus

_FIRED_TTL = "24h"
"""A fired message that nobody consumed for so long is gone; the router's sweep finds the failure itself."""


SEEN = "Connectors-Seen"
"""Of a fired message: whoever handles it must know the log at least up to this sequence."""


async def set_timer(bus: Bus, pipeline: str, timer: str, at: datetime, *, seen: int = 0) -> None:
    """Let ``timer`` fire at ``at`` (aware; the past fires at once). Its message's body is the timer's id.

    ``seen`` is the sequence of the log at which the timer is known to be needed: a replica of the log that lags
    behind must not make it look unneeded when it fires.

    Raises:
        nats.errors.Error, TimeoutError: the bus did not take it.
    """
    headers = {
        "Nats-Schedule": f"@at {at.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}",
        "Nats-Schedule-Target": subjects.timer_fired(pipeline),
        "Nats-Schedule-TTL": _FIRED_TTL,
        SEEN: str(seen),
    }
    await bus.js.publish(
        subjects.timer(pipeline, timer), timer.encode(), stream=subjects.TIMERS_STREAM, headers=headers
    )
