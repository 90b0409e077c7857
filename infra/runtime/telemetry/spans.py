"""Spans of what is done for a pipeline, where somebody records them; elsewhere they cost a look at a variable.

    with at(Place(pipeline, parent(msg.headers, pipeline), task.id, recorder)):
        with span("tester RERUN", kind="consumer") as work:
            ...
            work.set({"connectors.task.outcome": "done"})

No prompt, secret or content of a document is an attribute: only ids, names of ours, numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Literal, Protocol

from nats.aio.client import Client

from contracts.errors import Permanent
from contracts.services import Service
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry.context import Place, at, here

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

Link = tuple[str, str]
"""Trace and span that this one has to do with, and is no part of."""


class Span(Protocol):
    """``id`` is 16 hexadecimal digits."""

    @property
    def id(self) -> str: ...

    def set(self, attributes: Attributes) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, kind: str) -> None:
        """It ended in an error of this ``kind``: the name of an exception, a status, a word of ours."""

    def end(self) -> None:
        """It is over; what comes later is not part of it."""

    def drop(self) -> None:
        """Nothing came of it: it is not told."""


class Recorder(Protocol):
    """Makes spans, and sends them away in the background."""

    def begin(
        self,
        place: Place,
        name: str,
        kind: Kind,
        attributes: Attributes,
        links: Sequence[Link],
        start: datetime | None,
    ) -> Span: ...

    def whole(
        self, pipeline: str, name: str, began: datetime, attributes: Attributes, links: Sequence[Link], error: str
    ) -> None:
        """The root span of a pipeline that ends now. ``error``: why it failed, in a word; empty if it did not."""

    async def run(self) -> None:
        """Send what has ended, again and again, until cancelled."""

    async def close(self) -> None:
        """Send what is there; to be called while the bus is."""


def recording(settings: BusSettings) -> Callable[[Client, Service], Recorder] | None:
    """Makes the recorder of a service on its connection; None where none is wanted (``CONNECTORS_TRACING``).

    Raises:
        Permanent: OpenTelemetry's packages are not installed.
    """
    if not settings.tracing:
        return None
    try:
        from infra.runtime.telemetry.export import BusRecorder
    except ModuleNotFoundError as error:
        raise Permanent(
            f"CONNECTORS_TRACING=true needs {error.name}: pip install 'agentic-connectors[tracing]', or unset it"
        ) from error
    return BusRecorder


class _Nothing:
    """The span where nobody records any."""

    id = ""

    def set(self, attributes: Attributes) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, kind: str) -> None: ...

    def end(self) -> None: ...

    def drop(self) -> None: ...


_NOTHING = _Nothing()


@contextmanager
def span(
    name: str,
    *,
    kind: Kind = "internal",
    attributes: Attributes | None = None,
    links: Sequence[Link] = (),
    start: datetime | None = None,
) -> Iterator[Span]:
    """A span below the one that is `here`; what is said inside names it as its parent. An error fails it."""
    place = here()
    if place is None or place.recorder is None:
        yield _NOTHING
        return
    begun = place.recorder.begin(place, name, kind, attributes or {}, links, start)
    try:
        with at(replace(place, span=begun.id)):
            yield begun
    except BaseException as error:
        begun.fail(type(error).__name__)
        raise
    finally:
        begun.end()
