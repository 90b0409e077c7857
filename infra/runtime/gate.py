"""The gate of a stream: while it is closed, only a refill gets in.

A log that lost its end must be whole again before anybody appends or decides: on half a history the router would
decide once more, and its fact would take the sequence of one that is still to be put back. So the event store
closes the streams that it keeps a copy of, refills them and opens them. A closed stream listens to its subjects
below ``refill.``, which only the event store may publish, and stores what comes there under the plain subject
(a subject transform, NATS ADR-30). What others say meanwhile is refused by the server, and they try again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import nats.errors
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from contracts import subjects

logger = logging.getLogger(__name__)

GATED = (subjects.EVENTS_STREAM, subjects.TURNS_STREAM, subjects.DEAD_STREAM)
"""The streams that the event store copies whole, sequence for sequence."""

WAIT_S = (0.02, 0.05, *(0.1,) * 30, 0.5)

_IN = f"{subjects.REFILL}>"


def is_closed(config: api.StreamConfig) -> bool:
    """Whether only a refill gets in."""
    return any(subject.startswith(subjects.REFILL) for subject in config.subjects or ())


def as_closed(config: api.StreamConfig) -> api.StreamConfig:
    """The same stream with its gate closed."""
    if is_closed(config):
        return config
    return config.evolve(
        subjects=[f"{subjects.REFILL}{subject}" for subject in config.subjects or ()],
        subject_transform=api.SubjectTransform(src=_IN, dest=">"),
    )


def as_open(config: api.StreamConfig) -> api.StreamConfig:
    """The same stream with its gate open."""
    if not is_closed(config):
        return config
    plain = [subject.removeprefix(subjects.REFILL) for subject in config.subjects or ()]
    return config.evolve(subjects=plain, subject_transform=None)


async def move(js: JetStreamContext, stream: str, to: Callable[[api.StreamConfig], api.StreamConfig]) -> None:
    """Close (`as_closed`) or open (`as_open`) the gate of ``stream``; does nothing if it is so already.

    Raises:
        nats.errors.Error, TimeoutError: the bus did not do it.
    """
    found = (await js.stream_info(stream)).config
    wanted = to(found)
    if wanted is not found:
        await js.update_stream(wanted)
        logger.info("stream %s is %s", stream, "closed for a refill" if is_closed(wanted) else "open")


async def until_open(js: JetStreamContext, streams: Sequence[str], tell: Callable[[str | None], None]) -> None:
    """Wait until ``streams`` are there and the log is open; ``tell`` hears what is waited for, and ``None`` at the
    end."""
    attempt = 0
    while (problem := await _problem(js, streams)) is not None:
        tell(problem)
        await asyncio.sleep(WAIT_S[min(attempt, len(WAIT_S) - 1)])
        attempt += 1
    tell(None)


async def _problem(js: JetStreamContext, streams: Sequence[str]) -> str | None:
    try:
        found = await asyncio.gather(*(js.stream_info(stream) for stream in streams))
    except NotFoundError:
        return "the log is not there yet: the event store makes it when it has compared its copy"
    except APIError as error:
        return f"the bus does not show the log yet: {error.description}"
    except (TimeoutError, nats.errors.Error) as error:
        return f"the bus does not show the log yet: {str(error) or type(error).__name__}"
    closed = [str(info.config.name) for info in found if is_closed(info.config)]
    return f"{', '.join(closed)}: refilled by the event store from its copy" if closed else None
