"""What each service's user may say and hear on the bus: a pure function of `contracts.services.FACES`.

Least privilege: a service publishes its own facts and no other's, acknowledges only its own deliveries and has its
own inboxes. Streams are made by the event store alone, and nobody may delete or purge one. What a server is told of
this is in `infra.runtime.bus_users`.

A new grant goes to where its kind is: `_everybody`, `_agent`, or `_ALONE` for one service. Whoever hears a new
subject needs it in ``subscribe``; the way there follows from the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from contracts import subjects
from contracts.services import AGENTS, FACES, Service
from infra.runtime.durables import durables

_EVENTS, _TURNS, _DEAD = subjects.EVENTS_STREAM, subjects.TURNS_STREAM, subjects.DEAD_STREAM
_OBJECTS = f"OBJ_{subjects.ARTIFACTS_BUCKET}"
_STREAMS = (_EVENTS, _TURNS, subjects.TIMERS_STREAM, _DEAD, _OBJECTS)


@dataclass(frozen=True)
class Permissions:
    """Subjects that a user may publish to (but not to those of ``deny``) and subscribe to; ``replies``: it may
    answer each request that it received."""

    publish: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    replies: bool = False

    def __add__(self, other: Permissions) -> Permissions:
        return Permissions(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def permissions(service: Service) -> Permissions:
    """The permissions of one service's user."""
    agent = _agent(service) if service in AGENTS else Permissions()
    return _everybody(service) + agent + _ALONE.get(service, Permissions())


def _everybody(service: Service) -> Permissions:
    """Its facts, its inbox, its durables, a look at every stream (is it there, open, the same, full?), the event
    store's readiness, and what traces are made of."""
    own = (consumer for stream, name in durables(service).items() for consumer in _durable(stream, name))
    return Permissions(
        publish=(
            *(subjects.any_pipeline(fact) for fact in FACES[service].emits),
            *(f"{subjects.API}.STREAM.INFO.{stream}" for stream in _STREAMS),
            *own,
            subjects.STORE_READY,
            subjects.SPANS,
        ),
        subscribe=(f"_INBOX.{service}.>",),
    )


def _durable(stream: str, name: str) -> tuple[str, ...]:
    """Make, see, pull, acknowledge."""
    return (
        f"{subjects.API}.CONSUMER.INFO.{stream}.{name}",
        f"{subjects.API}.CONSUMER.CREATE.{stream}.{name}",
        f"{subjects.API}.CONSUMER.MSG.NEXT.{stream}.{name}",
        f"$JS.ACK.{stream}.{name}.>",
    )


def _read(*streams: str) -> tuple[str, ...]:
    """Direct gets: no consumer, nothing is changed."""
    return tuple(f"{subjects.API}.DIRECT.GET.{stream}" for stream in streams)


_PUT_ARTIFACTS = (f"$O.{subjects.ARTIFACTS_BUCKET}.C.*", f"$O.{subjects.ARTIFACTS_BUCKET}.M.*")
"""Chunks and metadata. Who says something else about a hash is found out: every read hashes again."""


def _agent(service: Service) -> Permissions:
    return Permissions(
        publish=(
            *_read(_EVENTS, _TURNS, _OBJECTS),
            *_PUT_ARTIFACTS,
            subjects.ALL_TURNS,
            subjects.ALL_ACCOUNTS,
            subjects.attempts(service.value, "*"),
            subjects.dead(service.value, "*"),
            subjects.PROGRESS,
        ),
        subscribe=(subjects.CANCELS, subjects.PRESENCE, subjects.CAPABILITIES),
        replies=True,
    )


def _tail(stream: str) -> Permissions:
    """Consumers that are forgotten when their reader is gone, and never acknowledged; durables are others'."""
    api = f"{subjects.API}.CONSUMER"
    others: Iterable[str] = (found[stream] for service in Service if stream in (found := durables(service)))
    return Permissions(
        publish=(
            f"{api}.CREATE.{stream}.*.{subjects.ALL_EVENTS}",
            f"{api}.INFO.{stream}.*",
            f"{api}.MSG.NEXT.{stream}.*",
        ),
        deny=tuple(
            f"{api}.{verb}"
            for name in others
            for verb in (f"CREATE.{stream}.{name}.>", f"INFO.{stream}.{name}", f"MSG.NEXT.{stream}.{name}")
        ),
    )


_ALONE: dict[Service, Permissions] = {
    Service.ROUTER: Permissions(publish=(*_read(_EVENTS), subjects.timer("*", "*"), subjects.CANCELS)),
    # It makes the log, and refills it from the SQL copy when it lost its end, through a gate that is else closed.
    Service.EVENT_STORE: _tail(_EVENTS)
    + Permissions(
        publish=(
            *(f"{subjects.API}.STREAM.{verb}.{stream}" for stream in _STREAMS for verb in ("CREATE", "UPDATE")),
            *(f"{subjects.API}.STREAM.MSG.GET.{stream}" for stream in (_EVENTS, _TURNS, _DEAD)),
            *_read(_EVENTS, _TURNS, _DEAD, _OBJECTS),
            *_PUT_ARTIFACTS,
            f"{subjects.REFILL}>",
        ),
        subscribe=(subjects.query("*"), subjects.STORE_READY),
        replies=True,
    ),
    Service.GATEWAY: _tail(_EVENTS)
    + Permissions(
        publish=(
            *_read(_EVENTS, _TURNS, _DEAD, _OBJECTS),
            *_PUT_ARTIFACTS,
            subjects.imported("*", ">"),  # whatever was said elsewhere: nobody acts on it
            subjects.query("*"),
            subjects.CANCELS,
            subjects.CAPABILITIES,
            subjects.PRESENCE,
        ),
        subscribe=(subjects.PROGRESS, subjects.SPANS),
    ),
}
