"""The health check of the images, against the port that services really serve."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from infra.runtime.health import Health, served
from infra.runtime.healthcheck import problem
from tests.support.process import ROOT


async def _check(port: int) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "infra.runtime.healthcheck",
        cwd=ROOT,
        env={"CONNECTORS_HEALTH_PORT": str(port)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_container_is_healthy_once_its_service_is_ready() -> None:
    health, port = Health(), _free_port()
    async with served(health, port=port):
        status, said = await _check(port)
        assert (status, "not consuming yet" in said) == (1, True)
        health.started = True
        assert await _check(port) == (0, "")
        health.problems["bus"] = "not connected"
        status, said = await _check(port)
        assert status == 1
        assert "not connected" in said
    status, said = await _check(port)
    assert status == 1
    assert f"no answer on port {port}" in said


@pytest.mark.parametrize("environment", [{}, {"CONNECTORS_HEALTH_PORT": "x"}])
def test_a_container_without_a_port_is_not_healthy(environment: dict[str, str]) -> None:
    assert "set the port" in (problem(environment) or "")


def test_what_asks_every_few_seconds_loads_the_standard_library_alone() -> None:
    code = "import sys, infra.runtime.healthcheck; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pydantic", "nats", "faststream", "asyncio"} & set(loaded)
