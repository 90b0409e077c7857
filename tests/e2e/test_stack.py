"""The embedded stack as a person runs it: `connectors up`, `ps`, Ctrl-C."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx2
import pytest

from contracts.services import Service
from infra.cli.demo import DOCUMENT
from infra.runtime.stack import ProcessInfo, read_processes
from tests.support.stack import alive, connectors, eventually, processes, running_up

QUICK_START = {"connector_name": "google-sheets", "connector_type": "source"}


def test_up_runs_every_service_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with running_up(tmp_path / "data", tmp_path / "output") as (up, url):
        rows = processes(tmp_path / "data")
        assert {row["service"] for row in rows} == {"fork-server", "nats-server", *Service}
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


def test_whatever_is_killed_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    def rows() -> dict[str, ProcessInfo]:
        return {row.service: row for row in read_processes(tmp_path / "data" / "stack.json")[1]}

    def all_ready() -> bool:
        return {row.state for row in rows().values()} == {"ready"}

    with running_up(tmp_path / "data", tmp_path / "output") as (up, url):
        before = rows()
        assert up.stdout is not None
        (tmp_path / "data" / "stack.tmp").mkdir()  # its list of processes cannot be written, as on a full disk
        os.kill(before["publisher"].pid, signal.SIGKILL)
        while "could not be written" not in up.stdout.readline():
            pass
        (tmp_path / "data" / "stack.tmp").rmdir()

        for name in ("reviewer", "nats-server"):
            os.kill(before[name].pid, signal.SIGKILL)
            assert eventually(lambda name=name: rows()[name].pid != before[name].pid and all_ready())
        os.kill(before["fork-server"].pid, signal.SIGKILL)  # and with it all that it forked
        assert eventually(lambda: all(row.pid != before[name].pid for name, row in rows().items()))
        assert eventually(all_ready)

        assert httpx2.get(f"{url}/readyz").status_code == 200
        told = {row["service"]: (row["restarts"], row["ended"]) for row in processes(tmp_path / "data")}
        assert told["nats-server"] == (1, "SIGKILL")
        assert told["reviewer"] == (2, "SIGKILL")

        up.send_signal(signal.SIGINT)
        up.wait(timeout=30)
        said = up.stdout.read()
    for name in ("reviewer", "nats-server", "fork-server"):
        assert f"{name} ended with SIGKILL; starting it again in 0.5 s" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stack_that_is_killed_as_a_whole_goes_on_where_it_was(tmp_path: Path) -> None:
    """Real agents at work on a real document, everything killed at once, and started again on the same folder."""

    def facts(url: str) -> list[str]:
        answer = httpx2.get(f"{url}/pipelines/{pipeline}/events?limit=1000", timeout=30)
        return [fact["event"]["type"] for fact in answer.json()["events"]] if answer.status_code == 200 else []

    with running_up(tmp_path / "data", tmp_path / "output") as (up, url):
        fields = {"connector_name": "sample-crm", "connector_type": "source"}
        answer = httpx2.post(f"{url}/generate", data=fields, files={"document": DOCUMENT.open("rb")}, timeout=30)
        pipeline = answer.json()["pipeline_id"]
        assert eventually(lambda: "tests.requested" in facts(url), timeout_s=60)
        before = facts(url)
        rows = processes(tmp_path / "data")
        up.kill()
        up.wait(timeout=10)
        assert eventually(lambda: not [row for row in rows if alive(row["pid"])])

    with running_up(tmp_path / "data", tmp_path / "output") as (_, url):
        assert eventually(lambda: facts(url)[-1:] == ["pipeline.completed"], timeout_s=200), facts(url)
        after = facts(url)
    assert after[: len(before)] == before
    assert len(after) == len(set(after))  # each step once: nothing that was acknowledged is done again
