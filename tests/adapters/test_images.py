"""What an image installs, installed as its Dockerfile does: from the lock, with hashes; and it runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from contracts.errors import Transient
from contracts.services import Service
from infra.deploy.lock import BUILD, ROOT, SOURCE_ONLY, lock_of
from infra.runtime.bus import Bus
from infra.runtime.healthcheck import problem
from infra.runtime.nats_server import NatsServer
from infra.runtime.toolchain.process import registry_env, run_tool
from tests.support.container import free_port
from tests.support.locks import read_lock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("images")]

INSTALL_TIMEOUT_S = 500.0
READY_TIMEOUT_S = 30.0
LISTING = "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions()]))"
OURS = canonicalize_name("agentic-connectors")

Pip = Callable[..., str]


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Pip:
    """The pip of a venv with what builds packages: ``/opt/build`` of the Dockerfile."""
    build = tmp_path_factory.mktemp("build")
    python = build / "bin" / "python"
    _run([sys.executable, "-m", "venv", build])

    def run(*arguments: str | Path) -> str:
        return _run([python, "-m", "pip", "--disable-pip-version-check", *arguments])

    try:
        run("install", "--only-binary", ":all:", "--require-hashes", "-r", BUILD)
    except Transient as error:
        if "No matching distribution" in str(error) or "Connection" in str(error):
            pytest.skip(f"there is no registry to install from: {error}")
        raise
    return run


@pytest.fixture(scope="module")
def own(pip: Pip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own package as a wheel."""
    folder = tmp_path_factory.mktemp("own")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.mark.parametrize("service", Service)
async def test_a_service_runs_from_its_lock_alone(
    service: Service, pip: Pip, own: Path, bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    venv, wheels = tmp_path / "venv", tmp_path / "wheels"
    python = venv / "bin" / "python"
    await asyncio.to_thread(_installed, pip, own, lock_of(service), venv, wheels)
    installed = set(map(canonicalize_name, json.loads(_run([python, "-c", LISTING]))))
    assert installed <= {*read_lock(lock_of(service)), OURS}
    size_mb = sum(path.lstat().st_size for path in venv.rglob("*")) / 1e6
    print(f"{service}: {len(installed)} packages, {size_mb:.0f} MB")

    async with AsyncExitStack() as stack:
        if service is not Service.EVENT_STORE:  # ready is only who has one
            (tmp_path / "store").mkdir()
            store = _process(Service.EVENT_STORE, Path(sys.executable), nats_server, tmp_path / "store")
            await stack.enter_async_context(store)
        running = _process(service, python, nats_server, tmp_path)
        process, environment, log = await stack.enter_async_context(running)
        why: str | None = ""
        for _ in range(int(READY_TIMEOUT_S / 0.1)):
            if process.returncode is not None or (why := await asyncio.to_thread(problem, environment)) is None:
                break
            await asyncio.sleep(0.1)
        assert why is None, log.read_text()


def _installed(pip: Pip, own: Path, lock: Path, venv: Path, wheels: Path) -> None:
    _run([sys.executable, "-m", "venv", "--without-pip", venv])
    sources = [f"--no-binary={name}" for name in SOURCE_ONLY]
    wheel = ["wheel", "--only-binary", ":all:", *sources, "--require-hashes", "--no-build-isolation"]
    pip(*wheel, "--wheel-dir", wheels, "-r", lock)
    pip("--python", venv / "bin" / "python", "install", "--no-deps", "--no-index", *wheels.iterdir(), own)


@asynccontextmanager
async def _process(
    service: Service, python: Path, server: NatsServer, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Mapping[str, str], Path]]:
    log, port = folder / "log", str(free_port())
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "CONNECTORS_DATA_DIR": str(folder / "data"),
        "CONNECTORS_OUTPUT_DIR": str(folder / "output"),
        "CONNECTORS_HEALTH_PORT": port,
        "CONNECTORS_GATEWAY_PORT": "0",
        **server.environment(service),
    }
    module = "gateway" if service is Service.GATEWAY else f"services.{service.value}"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            str(python), "-m", module, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield process, environment, log
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _run(command: list[str | Path]) -> str:
    return run_tool(command, env=registry_env(), what=str(command[1]), timeout_s=INSTALL_TIMEOUT_S)
