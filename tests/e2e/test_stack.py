"""The embedded stack as a person runs it: `connectors up`, `ps`, Ctrl-C."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx2

from contracts.services import Service
from tests.support.stack import alive, connectors, eventually, processes, running_up

QUICK_START = {"connector_name": "google-sheets", "connector_type": "source"}


def test_up_runs_every_service_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with running_up(tmp_path / "data", tmp_path / "output") as (up, url):
        rows = processes(tmp_path / "data")
        assert {row["service"] for row in rows} == {"nats-server", *Service}
        assert {row["state"] for row in rows} == {"ready"}

        answer = httpx2.post(f"{url}/generate", json=QUICK_START)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert "spec_url" in answer.json()["detail"]

        second = connectors("up", "--data", tmp_path / "data", "--port", "0")
        assert second.returncode == 1
        assert "another stack runs on this data folder" in second.stderr

        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=30) == 130
    assert not [row for row in rows if alive(row["pid"])]
    assert connectors("ps", "--data", tmp_path / "data").returncode == 1


def test_killed_supervisor_takes_everything_with_it(tmp_path: Path) -> None:
    with running_up(tmp_path / "data", tmp_path / "output") as (up, _):
        rows = processes(tmp_path / "data")
        up.kill()
        up.wait(timeout=10)
        assert eventually(lambda: not [row for row in rows if alive(row["pid"])])


def test_killed_service_is_started_again(tmp_path: Path) -> None:
    def reviewer() -> dict[str, object]:
        return next(row for row in processes(tmp_path / "data") if row["service"] == "reviewer")

    with running_up(tmp_path / "data", tmp_path / "output"):
        before = reviewer()
        os.kill(int(str(before["pid"])), signal.SIGKILL)
        assert eventually(lambda: reviewer()["pid"] != before["pid"] and reviewer()["state"] == "ready")
