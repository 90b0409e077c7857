"""What each service's user may say and hear on the bus: a pure function of `contracts.services.FACES`.

Least privilege where it counts: a service publishes its own facts and no other's, acknowledges only its own
deliveries, has its own inboxes, and nobody may delete or purge a stream. The table of users is used for the
embedded server and for deployments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from contracts import subjects
from contracts.services import FACES, Service

ADMIN = "admin"
"""The one user who may do everything: the operator's, and the tests'."""

_EVENTS, _TURNS, _TIMERS = subjects.EVENTS_STREAM, subjects.TURNS_STREAM, subjects.TIMERS_STREAM
_DEAD, _OBJECTS = subjects.DEAD_STREAM, f"OBJ_{subjects.ARTIFACTS_BUCKET}"
_STREAMS = (_EVENTS, _TURNS, _TIMERS, _DEAD, _OBJECTS)


@dataclass(frozen=True)
class Permissions:
    """Subjects that a user may publish to and subscribe to; ``replies``: answers to requests it received."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    replies: bool = False


def permissions(service: Service) -> Permissions:
    """The permissions of one service's user."""
    own = tuple(subjects.any_pipeline(fact) for fact in FACES[service].emits)
    publish = (*own, *_provisioning(service), *_reading(service), *_EXTRA_PUBLISH.get(service, ()))
    asked = (subjects.PRESENCE, subjects.CAPABILITIES) if service in _AGENTS else ()
    if service in _AGENTS:
        publish = (
            *publish,
            *_AGENT_PUBLISH,
            subjects.dead(service.value, "*"),
            subjects.attempts(service.value, "*"),
        )
    return Permissions(
        publish=publish,
        subscribe=(f"_INBOX.{service.value}.>", subjects.CANCELS, *asked, *_EXTRA_SUBSCRIBE.get(service, ())),
        replies=service is Service.EVENT_STORE or bool(asked),
    )


_AGENTS = frozenset(Service) - {Service.ROUTER, Service.EVENT_STORE, Service.GATEWAY}
_PUT_ARTIFACTS = f"$O.{subjects.ARTIFACTS_BUCKET}.>"
_AGENT_PUBLISH = (_PUT_ARTIFACTS, subjects.ALL_TURNS, subjects.ALL_ACCOUNTS, "live.*.progress")
_EXTRA_PUBLISH: dict[Service, tuple[str, ...]] = {
    Service.ROUTER: ("timers.waiting.>", subjects.CANCELS, subjects.dead("router", "*")),
    # The log's keeper refills it from the SQL copy when it lost its end, through a gate that is closed otherwise.
    Service.EVENT_STORE: (_PUT_ARTIFACTS, subjects.dead("event_store", "*"), f"{subjects.REFILL}>"),
    Service.GATEWAY: (
        _PUT_ARTIFACTS,
        subjects.CANCELS,
        subjects.query("*"),
        subjects.CAPABILITIES,
        subjects.PRESENCE,
        subjects.imported("*", ">"),  # whatever was said elsewhere: nobody acts on it
    ),
}
_EXTRA_SUBSCRIBE: dict[Service, tuple[str, ...]] = {
    Service.EVENT_STORE: (subjects.query("*"),),
    Service.GATEWAY: ("live.>",),
}


def _provisioning(service: Service) -> tuple[str, ...]:
    """Streams are made by whoever starts first; durables only by their owner."""
    api = tuple(f"$JS.API.STREAM.{verb}.{stream}" for stream in _STREAMS for verb in ("INFO", "CREATE", "UPDATE"))
    return (
        "$JS.API.INFO",
        *api,
        *_consumer_api(_EVENTS, service.value),
        *_consumer_api(_TIMERS, f"{service}-timers"),
    )


def _consumer_api(stream: str, name: str) -> tuple[str, ...]:
    return (
        f"$JS.API.CONSUMER.INFO.{stream}.{name}",
        f"$JS.API.CONSUMER.CREATE.{stream}.{name}",
        f"$JS.API.CONSUMER.CREATE.{stream}.{name}.>",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}",
        f"$JS.ACK.{stream}.{name}.>",
    )


def _reading(service: Service) -> tuple[str, ...]:
    """History, turns and artifacts by direct get; ordered readers (nameless consumers) where a service tails."""
    direct = tuple(f"$JS.API.DIRECT.GET.{stream}" for stream in (_EVENTS, _TURNS, _OBJECTS))
    if service not in (Service.EVENT_STORE, Service.GATEWAY, Service.ROUTER):
        return direct
    tails = tuple(
        subject
        for stream in _STREAMS
        for subject in (
            f"$JS.API.DIRECT.GET.{stream}",
            f"$JS.API.STREAM.MSG.GET.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}.>",
            f"$JS.API.CONSUMER.INFO.{stream}.>",
            f"$JS.API.CONSUMER.DELETE.{stream}.>",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.>",
            f"$JS.ACK.{stream}.>",
        )
    )
    return (*tails, "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.FC.>")


def authorization(passwords: Mapping[str, str]) -> str:
    """The ``authorization`` block of a nats-server configuration: one user per service, and the admin.

    ``passwords``: user name -> password. The result holds secrets: write it to a file of mode 0600.
    """
    users = []
    for user, password in passwords.items():
        entry: dict[str, object] = {"user": user, "password": password}
        if user != ADMIN:
            granted = permissions(Service(user))
            entry["permissions"] = {
                "publish": {"allow": list(granted.publish)},
                "subscribe": {"allow": list(granted.subscribe)},
            } | ({"allow_responses": {"max": 1, "ttl": "1m"}} if granted.replies else {})
        users.append(entry)
    return "authorization: " + json.dumps({"users": users}, indent=1)
