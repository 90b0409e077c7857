"""The toolchain on disk. Wheels come from the machine's own wheelhouse, so no test asks a registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from contracts.errors import Permanent, Transient
from infra.runtime.toolchain import Toolchain, ToolFailed, install_offline, locate, pins, prepare
from infra.runtime.toolchain import build as toolchain_build
from infra.runtime.toolchain import process as toolchain_process
from infra.runtime.toolchain.process import find_uv, run_tool

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return prepare()


@pytest.fixture
def from_wheelhouse(toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip's "registry" be the wheelhouse."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(toolchain.wheelhouse))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def wheel(folder: Path, *requires: str) -> Path:
    """A wheel with one module and a console script, written by hand."""
    path = folder / "sample_thing-1.0-py3-none-any.whl"
    needs = "".join(f"Requires-Dist: {name}\n" for name in requires)
    info = "sample_thing-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sample_thing.py", "import pydantic\n\ndef main():\n    print(pydantic.VERSION)\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: sample-thing\nVersion: 1.0\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nsample-thing = sample_thing:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_the_prepared_interpreter_has_exactly_the_pins(toolchain: Toolchain) -> None:
    code = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    done = subprocess.run([toolchain.python, "-I", "-c", code], capture_output=True, check=True)
    found = {name.lower().replace("_", "-"): version for name, version in json.loads(done.stdout).items()}
    # pip has a folder of its own (`Toolchain.pip`); only uv also puts it where it installs
    assert found.items() >= {name: version for name, version in pins().items() if name != "pip"}.items()
    assert found.keys() <= pins().keys()


@pytest.mark.slow
def test_two_processes_preparing_at_once_build_once(tmp_path: Path, from_wheelhouse: None) -> None:
    env = {**os.environ, "CONNECTORS_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "infra.runtime.toolchain"]
    both = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("downloading" in errors for _, errors in outputs) == 1
    assert len({root for root, _ in outputs}) == 1
    made = locate(tmp_path)
    assert made.is_ready()
    assert sorted(path.name.split(".")[0] for path in tmp_path.iterdir()) == [made.root.name] * 2  # and its lock


@pytest.mark.slow
def test_a_damaged_toolchain_is_made_anew(tmp_path: Path, toolchain: Toolchain, from_wheelhouse: None) -> None:
    broken = locate(tmp_path)
    shutil.copytree(toolchain.root, broken.root, symlinks=True)
    assert broken.is_ready()
    next(broken.wheelhouse.glob("urllib3-*.whl")).unlink()
    told: list[str] = []
    assert prepare(told.append, cache=tmp_path).is_ready()
    assert "replacing a damaged one" in told
    assert list(broken.wheelhouse.glob("urllib3-*.whl"))


def test_a_half_made_toolchain_counts_as_none(tmp_path: Path) -> None:
    half = locate(tmp_path)
    (half.root / "venv" / "bin").mkdir(parents=True)
    (half.root / "ready.json").write_text('{"wheels": [')
    assert not half.is_ready()


def test_a_registry_that_has_not_everything_leaves_nothing_behind(
    tmp_path: Path, from_wheelhouse: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(Transient, match="downloading the pinned wheels"):
        prepare(cache=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_wheel_that_was_swapped_on_its_way_is_refused(
    tmp_path: Path, toolchain: Toolchain, from_wheelhouse: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(toolchain.wheelhouse, mirror)
    with zipfile.ZipFile(next(mirror.glob("annotated_types-*.whl")), "a") as wheel:
        wheel.writestr("sitecustomize.py", "print('somebody else was here')")
    monkeypatch.setenv("PIP_FIND_LINKS", str(mirror))
    with pytest.raises(Transient, match=r"(?i)hash"):
        prepare(cache=tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_where_there_is_no_pip_uv_fetches_the_pinned_one(
    tmp_path: Path, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_uv() is None:
        pytest.skip("there is no uv here")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(toolchain.wheelhouse))
    env = toolchain_process.registry_env()
    command = toolchain_build._registry_pip(tmp_path, env)
    said = subprocess.run([*command, "--version"], env=env, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"pip {pins()['pip']} from {tmp_path}")


def test_without_pip_and_uv_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("infra.runtime.toolchain.build.find_uv", lambda: None)
    with pytest.raises(Permanent, match="install pip"):
        prepare(cache=tmp_path)


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways to install."""
    if request.param == "uv" and find_uv() is None:
        pytest.skip("there is no uv here")
    if request.param == "pip":
        monkeypatch.setattr("infra.runtime.toolchain.install.find_uv", lambda: None)
    return str(request.param)


def test_a_wheel_installs_with_its_dependencies_and_no_network(
    tmp_path: Path, toolchain: Toolchain, installer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # whoever asks the network anything fails
    python = install_offline(toolchain, tmp_path / "venv", wheel(tmp_path, "pydantic>=2"))
    done = subprocess.run([python.with_name("sample-thing")], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == pins()["pydantic"]
    missing = subprocess.run([python, "-c", "import urllib3"], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in missing.stderr  # only what the wheel declares


def test_a_dependency_outside_the_pins_is_refused(tmp_path: Path, toolchain: Toolchain, installer: str) -> None:
    with pytest.raises(ToolFailed, match="no-such-thing"):
        install_offline(toolchain, tmp_path / "venv", wheel(tmp_path, "no-such-thing"))


def test_a_tool_that_does_not_end_is_stopped() -> None:
    with pytest.raises(Transient, match=r"waiting took longer than 0.2 s") as caught:
        run_tool([sys.executable, "-c", "import time; time.sleep(60)"], env={}, what="waiting", timeout_s=0.2)
    assert not isinstance(caught.value, ToolFailed)


def test_installers_see_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORS_NATS_PASSWORD", "do-not-tell")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "do-not-tell")
    for env in (toolchain_process.offline_env(), toolchain_process.registry_env()):
        assert "do-not-tell" not in env.values()
