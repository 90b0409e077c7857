"""`connectors conformance` on connectors that we did not make: an executable, a config, a document."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contracts.conformance import ConformanceReport, JudgedApi
from contracts.errors import Rejected
from contracts.reports import Outcome
from infra.cli.conformance import Options, conformance, show
from tests.support import tiny_connector, tiny_document

TOKEN = "the-token-of-the-config"


def quiet() -> Console:
    return Console(file=io.StringIO(), width=160)


def options(path: Path, folder: Path, **changes: Any) -> Options:
    values: dict[str, Any] = {
        "path": path,
        "config": folder / "config.json",
        "spec": folder / "tiny.json",
        "full": False,
        "as_json": True,
        "report": None,
        "unconfined": False,
        "many": 50,
        **changes,
    }
    return Options(**values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.json").write_text(json.dumps(tiny_document.document()))
    config = {"base_url": "{base_url}", "credentials": {"auth_type": "token", "token": TOKEN}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def script(folder: Path, mutant: str | None = None) -> Path:
    """An executable that names its interpreter, as a console script does."""
    path = folder / "bin" / "source-tiny"
    path.parent.mkdir()
    path.write_bytes(
        f"#!{os.path.realpath(sys.executable)}\n".encode() + tiny_connector.connector(mutant)["main.py"]
    )
    path.chmod(0o755)
    return path


async def judged(chosen: Options) -> tuple[int, ConformanceReport]:
    out = quiet()
    code = await conformance(chosen, out, quiet())
    assert isinstance(out.file, io.StringIO)
    return code, ConformanceReport.model_validate_json(out.file.getvalue())


async def test_an_executable_is_judged_by_its_own_config_and_the_document(folder: Path) -> None:
    code, report = await judged(options(script(folder), folder, report=folder / "report"))
    assert [(check.id, check.message) for check in report.checks if check.outcome is Outcome.FAILED] == []
    assert (code, report.name, report.proven, len(report.streams)) == (0, "source-tiny", 3, 3)
    assert TOKEN not in report.encode().decode()
    written = folder / "report"
    assert ConformanceReport.model_validate_json((written / "conformance.json").read_bytes()) == report
    assert b"3 of 3 streams proven" in (written / "conformance.html").read_bytes()
    out = quiet()
    show(report, out)
    assert isinstance(out.file, io.StringIO)
    assert "3 of 3 streams proven" in out.file.getvalue()


@pytest.mark.slow
async def test_a_broken_one_is_told_by_the_exit_code_and_a_config_is_made_where_none_is_given(folder: Path) -> None:
    api = JudgedApi(api=tiny_connector.api(), endpoints=tiny_connector.ENDPOINTS)
    (folder / "simulated_api.json").write_text(api.model_dump_json())
    chosen = options(
        script(folder, "reads_only_the_first_page"), folder, config=None, spec=folder / "simulated_api.json"
    )
    code, report = await judged(chosen)
    assert code == 1
    assert "completeness/deals/page+1" in {check.id for check in report.checks if check.outcome is Outcome.FAILED}


async def test_a_config_that_points_elsewhere_fails_before_anything_is_read(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"base_url": "https://api.example.com"}))
    code, report = await judged(options(script(folder), folder))
    assert code == 1
    assert [check.id for check in report.checks] == ["protocol/connector/spec"]
    assert "{base_url}" in report.checks[0].message


async def test_what_is_missing_is_said(folder: Path) -> None:
    for chosen, words in (
        (options(folder / "nobody", folder), "no such package"),
        (options(script(folder), folder, config=folder / "none.json"), "config cannot be read"),
        (options(folder, folder, spec=None), "--spec"),
        (options(folder, folder), "src/source_NAME"),
    ):
        with pytest.raises(Rejected, match=words):
            await conformance(chosen, quiet(), quiet())
