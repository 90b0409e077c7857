"""A service's process in what a container would give it: another uid, a root that is read-only, no capability.

Made with bubblewrap by root. Network and sources are this machine's: what an image holds is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from contracts.services import Service
from infra.runtime.healthcheck import problem
from infra.runtime.nats_server import NatsServer
from infra.runtime.toolchain import prepare
from services.reviewer.warm_types import warm_types
from tests.support.process import ROOT

UID = 10001
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
READY_TIMEOUT_S = 60.0
SITE_PACKAGES = Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
ABSENT = Path(__file__).with_name("absent.py")
DEVELOPMENT = ("psutil",)
"""Of our venv, what behaves differently for being there: mypy asks psutil, which asks /proc, for the processors."""


def required() -> None:
    """Skips where no such place can be made."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as another user in a root of its own; CI does")
    for tool in ("bwrap", "setpriv"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool}: apt install bubblewrap util-linux")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Container:
    """One running service. ``health_port`` is on loopback."""

    service: Service
    process: asyncio.subprocess.Process
    health_port: int
    log: Path

    async def ready(self) -> None:
        """Raises AssertionError with what it logged, if it does not get ready."""
        environment = {"CONNECTORS_HEALTH_PORT": str(self.health_port)}
        why: str | None = ""
        for _ in range(int(READY_TIMEOUT_S / 0.1)):
            if self.process.returncode is not None:
                break
            if (why := await asyncio.to_thread(problem, environment)) is None:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.service} is not ready: {why}\n{self.log.read_text()}")


@asynccontextmanager
async def contained(
    service: Service,
    server: NatsServer,
    folder: Path,
    *,
    output: Path | None = None,
    sandbox: bool = True,
    **settings: str,
) -> AsyncIterator[Container]:
    """``service`` with the environment that an image and the manifests set. ``folder`` is its own, and empty.

    Args:
        output: the volume at ``/output``; none without.
        sandbox: whether there is a bubblewrap inside.
    """
    data, secrets, log = folder / "data", folder / "secrets", folder / "log"
    for path in (data, secrets):
        path.mkdir()
    os.chown(data, UID, UID)
    password = secrets / "password"
    password.write_text(server.password_file(service.value).read_text())
    os.chown(password, 0, UID)
    password.chmod(0o440)
    port = free_port()
    environment = {
        **image_environment(port),
        "CONNECTORS_NATS_URL": server.url,
        "CONNECTORS_NATS_PASSWORD_FILE": "/etc/connectors/secrets/password",
        **settings,
    }
    module = "gateway" if service is Service.GATEWAY else f"services.{service.value}"
    argv = [*_bwrap(data, secrets, output, environment, sandbox), "/opt/venv/bin/python", "-m", module]
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*argv, stdout=file, stderr=file)
    try:
        yield Container(service, process, port, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@cache
def cached() -> tuple[Path, Path]:
    """What the Dockerfile puts into ``/opt/cache``: nothing else is there, and nothing can be added."""
    toolchain = prepare()
    return toolchain.root, warm_types(toolchain)


def image_environment(health_port: int) -> dict[str, str]:
    """What ``infra/deploy/Dockerfile`` sets, but for the port: all are on one network here."""
    return {
        "PATH": "/opt/venv/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "PYTHONPATH": "/opt/src",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CONNECTORS_CACHE_DIR": "/opt/cache",
        "CONNECTORS_DATA_DIR": "/data",
        "CONNECTORS_OUTPUT_DIR": "/output",
        "CONNECTORS_HEALTH_PORT": str(health_port),
        "CONNECTORS_LOG_FORMAT": "json",
    }


def _bwrap(
    data: Path, secrets: Path, output: Path | None, environment: Mapping[str, str], sandbox: bool
) -> list[str]:
    """Root, so that the uid is a real one; the capabilities that this takes are gone with ``setpriv``."""
    argv = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--clearenv"]
    argv += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    for path in SYSTEM:
        argv += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind-try", path, path]
    argv += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
    shown = {
        sys.base_prefix: sys.base_prefix,
        sys.prefix: "/opt/venv",
        str(ROOT): "/opt/src",
        **{str(made): f"/opt/cache/{made.name}" for made in cached()},
        str(secrets): "/etc/connectors/secrets",
    }
    folders = {str(folder) for target in shown.values() for folder in Path(target).parents}
    for path in sorted(folders - {"/", *SYSTEM}):  # else bwrap makes them, and lets nobody but root through
        argv += ["--perms", "0755", "--dir", path]
    for name in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache", "ssl"):
        argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for source, target in shown.items():
        argv += ["--ro-bind", source, target]
    argv += ["--bind", str(data), "/data"]
    for name in DEVELOPMENT:
        argv += ["--ro-bind", str(ABSENT), f"/opt/venv/{SITE_PACKAGES}/{name}/__init__.py"]
    if not sandbox:
        argv += ["--ro-bind", "/dev/null", str(shutil.which("bwrap"))]
    if output is not None:
        argv += ["--bind", str(output), "/output"]
    for name, value in environment.items():
        argv += ["--setenv", name, value]
    argv += ["--remount-ro", "/", "--chdir", "/tmp", "--"]
    return [
        *argv,
        "setpriv",
        f"--reuid={UID}",
        f"--regid={UID}",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
    ]
