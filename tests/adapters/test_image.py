"""Images as they are built and run: by buildah and runc, without an engine. The tester's, which needs most."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contracts.services import Service
from infra.runtime.bus import Bus
from infra.runtime.healthcheck import problem
from infra.runtime.nats_server import NatsServer
from tests.support import oci
from tests.support.container import free_port
from tests.support.oci import Builder, Image
from tests.support.store import running_store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("image")]

PROBE = "import asyncio; from infra.runtime import sandbox; print(asyncio.run(sandbox.probe()).kind)"
TYPES = """
from infra.runtime.toolchain import prepare
from services.reviewer.warm_types import warm_types
print(any(warm_types(prepare()).iterdir()))
"""
LOOK = """
import importlib.util as u, os, shutil
print(os.getuid(), [name for name in ("anthropic", "pip", "sqlalchemy", "services") if u.find_spec(name)])
for path in ("/x", "/opt/cache/x", "/opt/venv/x", "/tmp/x", "/data/x"):
    try:
        open(path, "w").close()
        print("wrote", path)
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    oci.required()
    builder = Builder(tmp_path_factory.mktemp("images"))
    builder.make_base()
    return builder


@pytest.fixture(scope="module")
def image(builder: Builder) -> Image:
    return builder.build(Service.TESTER)


async def _output(image: Image, folder: Path, code: str, **options: Path | None) -> str:
    async with image.running(folder, ("python", "-c", code), **options) as process:
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_an_image_holds_what_its_service_needs_and_writes_to_two_folders(
    image: Image, tmp_path: Path
) -> None:
    print(f"{image.size_mb:.0f} MB with the base")
    assert await _output(image, tmp_path, LOOK) == "10001 ['services']\nwrote /tmp/x\nwrote /data/x\n"


async def test_a_container_of_it_gets_ready(
    image: Image, bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(nats_server.password_file(Service.TESTER).read_text())
    password.chmod(0o444)
    secret, port = "/etc/connectors/secrets/password", str(free_port())
    settings = {
        "CONNECTORS_NATS_URL": nats_server.url,
        "CONNECTORS_NATS_PASSWORD_FILE": secret,
        "CONNECTORS_HEALTH_PORT": port,
    }
    folder = tmp_path / "tester"
    async with (
        running_store(nats_server, tmp_path / "store"),
        image.running(folder, mounts={secret: password}, **settings) as process,
    ):
        why: str | None = ""
        for _ in range(300):
            if process.returncode is not None or (why := await asyncio.to_thread(problem, {**settings})) is None:
                break
            await asyncio.sleep(0.1)
        assert why is None
    assert image.config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "infra.runtime.healthcheck"]


async def test_the_profile_for_nodes_lets_bubblewrap_work_in_it(image: Image, tmp_path: Path) -> None:
    assert await _output(image, tmp_path, PROBE) == "bubblewrap\n"


async def test_a_reviewer_finds_the_types_of_all_packages_in_its_image(builder: Builder, tmp_path: Path) -> None:
    """It cannot put them there: the root is read-only."""
    assert await _output(builder.build(Service.REVIEWER), tmp_path, TYPES) == "True\n"
