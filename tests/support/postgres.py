"""A real PostgreSQL for tests: in a container where a Docker engine answers, else from local binaries."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

IMAGE = "postgres:17-alpine"
START_TIMEOUT_S = 30.0


class NoPostgres(Exception):
    """Neither a Docker engine nor local binaries; the text says what was looked for."""


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a database on a fresh server, which ends with the context.

    Raises:
        NoPostgres: there is none to be had.
    """
    if _docker_answers():
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer(IMAGE, driver=None) as container:
            yield container.get_connection_url()
        return
    with _local() as url:
        yield url


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


@contextmanager
def _local() -> Iterator[str]:
    """PostgreSQL refuses to run as root; as root, it runs as the user ``postgres``."""
    binaries = _binaries()
    if binaries is None:
        raise NoPostgres("no Docker engine answers, and there is no `postgres` on PATH or in /usr/lib/postgresql")
    user = "postgres" if os.geteuid() == 0 else None
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        raise NoPostgres("running as root, and there is no user `postgres` to run PostgreSQL as")
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        password_file = Path(folder) / "password"
        password = secrets.token_hex(16)
        password_file.write_text(password)
        if user:
            for path in (Path(folder), password_file):
                shutil.chown(path, user)
        data = f"{folder}/data"
        initdb = [f"{binaries}/initdb", "-D", data, "-U", "test", "-A", "scram-sha-256", "--no-sync"]
        subprocess.run(
            [*initdb, f"--pwfile={password_file}"], user=user, check=True, capture_output=True, cwd=folder
        )
        port = _free_port()
        settings = (f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off")
        server = subprocess.Popen(
            [f"{binaries}/postgres", "-D", data, *(part for each in settings for part in ("-c", each))],
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"postgresql://test:{password}@127.0.0.1:{port}/postgres"
            _wait(url, server)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=START_TIMEOUT_S)


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
