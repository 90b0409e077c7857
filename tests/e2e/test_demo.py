"""The demo is the product: a connector is built, installed, run and compared with an independent API."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.sample_crm.data import collections
from tests.support.stack import connectors


@pytest.mark.timeout(180)
def test_demo_reads_exactly_what_the_api_holds(tmp_path: Path) -> None:
    done = connectors("demo", "--data", tmp_path / "data", "--output", tmp_path / "output", timeout_s=170)

    assert done.returncode == 0, done.stdout + done.stderr
    for name, records in collections().items():
        row = next(line.split() for line in done.stdout.splitlines() if line.split()[:1] == [name])
        assert row == [name, str(len(records)), str(len(records)), "yes"]
    assert (tmp_path / "output/connector-implementations/source-sample-crm/pyproject.toml").exists()
