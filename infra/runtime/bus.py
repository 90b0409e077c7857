"""One connection to the bus and what stands on it: the log, the folded states, the artifacts."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from contracts import subjects
from contracts.errors import Permanent
from infra.runtime.direct import DirectReader
from infra.runtime.log import EventLog
from infra.runtime.nkey import BadSeed, public_key
from infra.runtime.object_store import ObjectStoreArtifacts
from infra.runtime.settings import BusSettings

logger = logging.getLogger(__name__)

RECONNECT_WAIT_S = 0.25
_REFUSED = "authorization violation"


class CredentialsUnusable(Permanent):
    """What this process was given to sign in with, or to know the bus by, is of no use."""

    def __init__(self, setting: str, why: str, *, where: str | None = None) -> None:
        super().__init__(f"{setting} is of no use: {why}", where=where)


@dataclass(frozen=True)
class Bus:
    """``nc`` for plain messages, ``js`` for streams, ``log`` for facts, ``artifacts`` for contents."""

    nc: Client
    js: JetStreamContext
    reader: DirectReader
    log: EventLog
    artifacts: ObjectStoreArtifacts

    @classmethod
    async def on(cls, nc: Client, settings: BusSettings) -> Bus:
        """Build everything on a connection that is open."""
        js = nc.jetstream(prefix=subjects.API, timeout=settings.request_timeout_s)
        reader = await DirectReader.on(nc, timeout_s=settings.request_timeout_s)
        artifacts = ObjectStoreArtifacts(
            nc, reader, timeout_s=settings.request_timeout_s, max_bytes=settings.artifact_max_bytes
        )
        return cls(nc, js, reader, EventLog(nc, reader, timeout_s=settings.request_timeout_s), artifacts)


def options(settings: BusSettings, name: str) -> dict[str, Any]:
    """Keyword arguments for `nats.connect` and for FastStream's broker, apart from servers and callbacks.

    Each user has inboxes of its own (``_INBOX.<user>.>``), so one service cannot read another's replies.
    A client never gives up: once closed, FastStream's pull loop would spin and freeze the event loop.
    """
    user = settings.nats_user or name
    return {
        "name": name,
        "inbox_prefix": f"_INBOX.{user}",
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": RECONNECT_WAIT_S,
        "connect_timeout": settings.connect_timeout_s,
        "ping_interval": 20,
        "max_outstanding_pings": 2,
    }


def credentials(settings: BusSettings, name: str) -> dict[str, Any]:
    """Keyword arguments for `nats.connect` by which a user signs in and the server is known; none for a server that
    asks for nothing. For FastStream's broker: `infra.runtime.connection`.

    Raises:
        CredentialsUnusable: a file cannot be read, or holds something else.
    """
    given: dict[str, Any] = {}
    if settings.nats_ca_file is not None:
        # The handshake comes first: nats-py would else send a password in the clear to a server without TLS.
        given = {"tls": _trusting(settings.nats_ca_file), "tls_handshake_first": True}
    if settings.nats_nkey_file is not None:
        return {**given, "nkeys_seed_str": _seed(settings.nats_nkey_file)}
    try:
        password = settings.password()
    except OSError as error:
        raise CredentialsUnusable("CONNECTORS_NATS_PASSWORD_FILE", str(error)) from error
    return given if password is None else {**given, "user": settings.nats_user or name, "password": password}


def _seed(file: Path) -> str:
    try:
        seed = file.read_text().strip()
        public_key(seed)
    except (OSError, ValueError, BadSeed) as error:
        raise CredentialsUnusable("CONNECTORS_NATS_NKEY_FILE", str(error), where=str(file)) from error
    return seed


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise CredentialsUnusable("CONNECTORS_NATS_CA_FILE", str(error), where=str(ca_file)) from error


class Troubles:
    """Hears the client's errors: troubles of a connection are told, not raised; it reconnects by itself.

    Not so before it is connected: nats-py would wait forever for the end of a connection whose TLS handshake failed
    (its `_close` awaits a writer that the handshake has taken the transport from). So there the first error is
    raised, out of `nats.connect`, and `until_connected` tries again.
    """

    def __init__(self) -> None:
        self.connected = False

    async def hear(self, error: Exception) -> None:
        if not self.connected:
            raise error
        logger.warning("bus: %s", _text(error))


async def until_connected(
    connect: Callable[[], Awaitable[Client]], troubles: Troubles, tell: Callable[[str], None]
) -> Client:
    """What ``connect`` returns, however long the bus takes; ``tell`` hears what is in the way, when it changes.

    Raises:
        nats.errors.Error: the bus does not know this user, or its password or key is another one.
    """
    told = ""
    while True:
        try:
            nc = await connect()
        except (OSError, TimeoutError, nats.errors.Error) as error:
            if _REFUSED in str(error).lower():
                raise
            if _text(error) != told:
                told = _text(error)
                logger.warning("bus: %s", told)
                tell(told)
            await asyncio.sleep(RECONNECT_WAIT_S)
        else:
            troubles.connected = True
            return nc


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


@asynccontextmanager
async def connect(
    settings: BusSettings,
    name: str,
    *,
    closed: Callable[[], Awaitable[None]] | None = None,
    tell: Callable[[str], None] = lambda problem: None,
) -> AsyncIterator[Bus]:
    """A bus for who only publishes and asks (gateway, command line); waits for a server that is not there yet.

    Raises:
        CredentialsUnusable: a file cannot be read, or holds something else.
        nats.errors.Error: see `until_connected`, which ``tell`` is for.

    Services that consume use `infra.runtime.service`, which runs their subscriptions with FastStream.

        async with connect(BusSettings(), "gateway") as bus:
            await bus.log.append(envelope, expected_last=0)
    """
    troubles = Troubles()
    given = {**options(settings, name), **credentials(settings, name)}

    async def attempt() -> Client:
        return await nats.connect(servers=settings.servers, error_cb=troubles.hear, closed_cb=closed, **given)

    nc = await until_connected(attempt, troubles, tell)
    try:
        yield await Bus.on(nc, settings)
    finally:
        await close(nc)


async def close(nc: Client) -> None:
    """Flush what is pending if the server is there, and close."""
    if nc.is_connected:
        try:
            await asyncio.wait_for(nc.flush(), timeout=1)
        except (TimeoutError, nats.errors.Error) as error:
            logger.warning("the bus did not take the last messages: %s", error)
    await nc.close()
