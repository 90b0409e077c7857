"""A real PostgreSQL for tests: in a container where a Docker engine answers, else from local binaries."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

IMAGE = "postgres:17-alpine"
START_TIMEOUT_S = 30.0


class NoPostgres(Exception):
    """Neither a Docker engine nor local binaries; the text says what was looked for."""


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """The URL of a database on a fresh server, which ends with the context. ``durable``: a commit waits for the
    disk, which a local server leaves out for tests.

    Raises:
        NoPostgres: there is none to be had.
    """
    if _docker_answers():
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer(IMAGE, driver=None) as container:
            yield container.get_connection_url()
        return
    with local_postgres() as server:
        yield server.url


def _docker_answers() -> bool:
    import docker
    from docker.errors import DockerException

    try:
        docker.from_env(timeout=2).ping()
    except DockerException:
        return False
    return True


def _binaries() -> Path | None:
    on_path = shutil.which("postgres")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return Path(on_path).parent if on_path else found[-1].parent if found else None


class LocalPostgres:
    """A server from local binaries on a fresh database in ``folder``; it can be stopped and started again.

    PostgreSQL refuses to run as root; as root, it runs as the user ``postgres``.
    """

    def __init__(self, folder: str) -> None:
        binaries = _binaries()
        if binaries is None:
            raise NoPostgres(
                "no Docker engine answers, and there is no `postgres` on PATH or in /usr/lib/postgresql"
            )
        user = "postgres" if os.geteuid() == 0 else None
        if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
            raise NoPostgres("running as root, and there is no user `postgres` to run PostgreSQL as")
        self._binaries, self._user, self._folder, self._data = binaries, user, folder, f"{folder}/data"
        self._port = _free_port()
        password = secrets.token_hex(16)
        self.url = f"postgresql://test:{password}@127.0.0.1:{self._port}/postgres"
        self._server: subprocess.Popen[bytes] | None = None
        self._init(password)

    def _init(self, password: str) -> None:
        password_file = Path(self._folder) / "password"
        password_file.write_text(password)
        if self._user:
            for path in (Path(self._folder), password_file):
                shutil.chown(path, self._user)
        initdb = [f"{self._binaries}/initdb", "-D", self._data, "-U", "test", "-A", "scram-sha-256", "--no-sync"]
        subprocess.run(
            [*initdb, f"--pwfile={password_file}"],
            user=self._user,
            check=True,
            capture_output=True,
            cwd=self._folder,
        )

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        settings = (
            f"port={self._port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
            "fsync=off",
        )
        self._server = subprocess.Popen(
            [f"{self._binaries}/postgres", "-D", self._data, *(part for each in settings for part in ("-c", each))],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(self.url, self._server)

    def stop(self) -> None:
        """End it at once, connections and all (SIGINT: "fast shutdown")."""
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=START_TIMEOUT_S)


@contextmanager
def local_postgres() -> Iterator[LocalPostgres]:
    """A server of our own that runs.

    Raises:
        NoPostgres: there are no binaries.
    """
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = LocalPostgres(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def fresh_database(server: str, name: str) -> str:
    """The URL of a new database on the server behind the URL ``server``."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if server.poll() is not None:
                raise NoPostgres(f"the local PostgreSQL ended with {server.returncode}") from error
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
