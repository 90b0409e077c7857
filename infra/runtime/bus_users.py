"""The users of the bus as a nats-server is told of them: an account for each, and what may pass between them.

Permissions alone keep nobody apart. A server answers a request on whatever subject the request names for the reply,
and does not ask whether the sender might publish there: who may read the log could let it answer as another's fact,
or on ``$JS.API.STREAM.DELETE.EVENTS`` (https://github.com/nats-io/nats-server/discussions/8924).

So every service is in an account of its own. The log is in `LOG_ACCOUNT`, with the event store, who makes it, and
the operator. What a service may publish is imported into its account, one subject at a time, from the accounts of
those who hear it (NATS calls this a service import). An answer comes back into the account that asked, and there
nobody hears another's subjects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from contracts.services import Service
from contracts.subjects import API, LOG_ACCOUNT
from infra.runtime.permissions import permissions

ADMIN = "admin"
"""The one user who may do everything: the operator's, and the tests'."""

USERS: tuple[str, ...] = (ADMIN, *(service.value for service in Service))

_SERVER_API = "$JS.API"
_MANY_ANSWERS = (f"{API}.DIRECT.GET.", f"{API}.CONSUMER.MSG.NEXT.", "live.")
"""What may be answered more than once: a batch, or by several processes."""

Kind = Literal["password", "nkey"]
"""How users sign in."""

Login = Callable[[str], Mapping[str, str]]
"""By which a user of this name signs in: ``{"user": ..., "password": ...}`` or ``{"nkey": ...}``."""


def account(user: str) -> str:
    """The account that a user is in."""
    return LOG_ACCOUNT if user in (ADMIN, Service.EVENT_STORE) else user


def imports() -> dict[tuple[str, str], tuple[str, ...]]:
    """(account that hears, subject) -> accounts from which it may be published there."""
    found: dict[tuple[str, str], list[str]] = {}
    for service in Service:
        for subject in permissions(service).publish:
            for hearer in _hearers(subject):
                if hearer != account(service):
                    found.setdefault((hearer, subject), []).append(account(service))
    for (hearer, _), importers in found.items():
        if LOG_ACCOUNT not in (hearer, *importers):
            importers.append(LOG_ACCOUNT)  # the operator may ask and cancel, too
    return {key: tuple(accounts) for key, accounts in found.items()}


def _hearers(subject: str) -> tuple[str, ...]:
    """The accounts of those who subscribe to ``subject``; all else is a stream's, or the event store's."""
    heard = tuple(account(service) for service in Service if subject in permissions(service).subscribe)
    return heard or (LOG_ACCOUNT,)


def accounts(login: Login) -> dict[str, Any]:
    """The block ``accounts`` of a server's configuration."""
    found: dict[str, Any] = {}
    for user in USERS:
        entry = dict(login(user)) | ({} if user == ADMIN else {"permissions": _allowed(Service(user))})
        found.setdefault(account(user), {"users": []})["users"].append(entry)
    found[LOG_ACCOUNT] |= {"jetstream": "enabled", "mappings": {f"{API}.>": f"{_SERVER_API}.>"}}
    ways = imports()
    for name, entry in found.items():
        entry["exports"] = list(_exports(name, ways))
        entry["imports"] = [
            {"service": {"account": hearer, "subject": subject}}
            for (hearer, subject), importers in ways.items()
            if name in importers
        ]
    return found


def _exports(name: str, ways: Mapping[tuple[str, str], tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    for (hearer, subject), importers in ways.items():
        if hearer == name:
            answers = "stream" if subject.startswith(_MANY_ANSWERS) else "singleton"
            yield {"service": subject, "response_type": answers, "accounts": list(importers)}


def _allowed(service: Service) -> dict[str, Any]:
    granted = permissions(service)
    allow, deny = ([_checked(service, subject) for subject in part] for part in (granted.publish, granted.deny))
    publish = {"allow": allow} | ({"deny": deny} if deny else {})
    replies = {"allow_responses": {"max": 1, "ttl": "1m"}} if granted.replies else {}
    return {"publish": publish, "subscribe": {"allow": list(granted.subscribe)}} | replies


def _checked(service: Service, subject: str) -> str:
    """Where the log is, the server asks whether a subject is allowed when it has mapped it."""
    return subject.replace(API, _SERVER_API, 1) if account(service) == LOG_ACCOUNT else subject


def with_passwords(passwords: Mapping[str, str]) -> str:
    """The users of a server's configuration. The text holds secrets: write it to a file of mode 0600."""
    return _text(accounts(lambda user: {"user": user, "password": passwords[user]}))


def variable(kind: Kind, user: str) -> str:
    """What the password of a user, or its public key, is called in a server's configuration."""
    return f"{kind.upper()}_{user.upper()}"


def with_variables(kind: Kind) -> str:
    """The same without any secret: the values of the variables come from another file."""

    def login(user: str) -> dict[str, str]:
        named = {"user": user} if kind == "password" else {}
        return {**named, kind: f"${variable(kind, user)}"}

    text = _text(accounts(login))
    for user in USERS:
        reference = f"${variable(kind, user)}"
        text = text.replace(f'"{reference}"', reference)  # in quotes it would be the value itself
    return text


def _text(found: Mapping[str, Any]) -> str:
    """As people can read it: a line for each subject, export and import."""
    lines = ["accounts {"]
    for name, entry in found.items():
        lines.append(f"  {name} {{")
        for key, value in entry.items():
            items = value if isinstance(value, list) else [value]
            shown = [json.dumps(item, indent=1 if key == "users" else None) for item in items]
            lines += [f"    {key}: [", *shown, "    ]"] if isinstance(value, list) else [f"    {key}: {shown[0]}"]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def files() -> dict[str, str]:
    """The generated files of `infra/deploy/nats`: name -> text."""
    names: dict[str, Kind] = {"users.conf": "password", "users-nkeys.conf": "nkey"}
    head = "# Generated from infra/runtime/permissions.py by `connectors deploy users`.\n"
    return {name: f'{head}include "secrets/users.conf"\n{with_variables(kind)}' for name, kind in names.items()}
