"""The demo is the product: a connector is built, installed, run and compared with an independent API."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from infra.cli.sample_crm.data import collections
from tests.support.stack import CONNECTORS, REPO, connectors, eventually


@pytest.mark.timeout(180)
def test_demo_reads_exactly_what_the_api_holds(tmp_path: Path) -> None:
    done = connectors("demo", "--data", tmp_path / "data", "--output", tmp_path / "output", timeout_s=170)

    assert done.returncode == 0, done.stdout + done.stderr
    for name, records in collections().items():
        row = next(line.split() for line in done.stdout.splitlines() if line.split()[:1] == [name])
        assert row == [name, str(len(records)), str(len(records)), "yes"]
    assert (tmp_path / "output/connector-implementations/source-sample-crm/pyproject.toml").exists()


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    argv = [*CONNECTORS, "demo", "--data", str(tmp_path / "data"), "--output", str(tmp_path / "output")]
    with subprocess.Popen(argv, cwd=REPO, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while "tester: GENERATE" not in (line := demo.stdout.readline()):
            assert line, "the demo ended before its connector was tested"
        assert _mentioning(tmp_path)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=40) == 130
    assert eventually(lambda: not _mentioning(tmp_path))


def _mentioning(folder: Path) -> list[str]:
    """Processes whose environment or command line names ``folder``: all that the demo starts do."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in said:
            found.append(process.name)
    return found
