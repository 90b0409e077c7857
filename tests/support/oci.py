"""Images without an engine: built by buildah on a base made by debootstrap, run by runc as a kubelet has it run.

What differs from a cluster: the base is Debian's own Python instead of the official image, and the network is this
machine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.services import Service
from tests.support.process import ROOT

TOOLS = ("buildah", "debootstrap", "runc")
BASE = "localhost/connectors-base"
SUITE = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SECCOMP = ROOT / "infra" / "deploy" / "kubernetes" / "seccomp" / "connectors-sandbox.json"
MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats")
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
"""What container runtimes hide and protect below /proc."""


def required() -> None:
    """Skips where no image can be built."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"images are built by root with {', '.join(TOOLS)}: apt install {' '.join(missing)}")


@dataclass(frozen=True)
class Builder:
    """A store of images below ``folder``."""

    folder: Path

    def buildah(self, *arguments: str | Path) -> str:
        places = ["--root", self.folder / "store", "--runroot", self.folder / "run", "--storage-driver", "vfs"]
        return _run("buildah", *places, *arguments, env={"BUILDAH_ISOLATION": "chroot"})

    def make_base(self) -> None:
        """Debian with its Python under the name that the Dockerfile uses; pip trusts whom this machine trusts."""
        root = self.folder / "base"
        try:
            _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root)
        except AssertionError as error:
            pytest.skip(f"there is no Debian archive to make a base image from: {str(error)[-300:]}")
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        shutil.copyfile(AUTHORITIES, root / AUTHORITIES.relative_to("/"))
        container = self.buildah("from", "scratch").strip()
        self.buildah("add", "--quiet", container, root, "/")
        self.buildah(
            "config", "--env", f"PIP_CERT={AUTHORITIES}", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container
        )
        self.buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)

    def build(self, service: Service) -> Image:
        """The image of ``service`` by the one Dockerfile."""
        name = f"localhost/agentic-connectors/{service.value}"
        build = ["--format", "docker", "--pull=never", "--layers=false", "--tag", name]
        arguments = ["--build-arg", f"BASE={BASE}", "--build-arg", f"SERVICE={service.value}"]
        self.buildah("build", *build, *arguments, "--file", ROOT / "infra/deploy/Dockerfile", ROOT)
        config = json.loads(self.buildah("inspect", "--type", "image", name))["Docker"]["config"]
        container = self.buildah("from", "--pull=never", name).strip()
        return Image(Path(self.buildah("mount", container).strip()), config)


@dataclass(frozen=True)
class Image:
    """Its files, and what its Dockerfile says of how it is run."""

    root: Path
    config: Mapping[str, Any]

    @property
    def size_mb(self) -> float:
        return sum(path.lstat().st_size for path in self.root.rglob("*")) / 1e6

    @asynccontextmanager
    async def running(
        self,
        folder: Path,
        argv: Sequence[str] = (),
        *,
        seccomp: Path | None = SECCOMP,
        mounts: Mapping[str, Path] | None = None,
        **settings: str,
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Its command, or ``argv``, in a container: read-only root, no capability, no new privileges.

        Args:
            folder: an empty one.
            mounts: more that may be read; target -> what lies there.
        """
        data = folder / "data"
        data.mkdir(parents=True)
        data.chmod(0o777)
        name = folder.name
        config = self._oci(tuple(argv) or tuple(self.config["Cmd"]), data, mounts or {}, seccomp, settings)
        (folder / "config.json").write_text(json.dumps(config))
        runc = ("runc", "--root", str(folder / "runc"))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *runc, "run", "--bundle", str(folder), name, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                subprocess.run([*runc, "kill", name, "KILL"], check=False)
                await process.communicate()

    def _oci(
        self,
        argv: Sequence[str],
        data: Path,
        mounts: Mapping[str, Path],
        seccomp: Path | None,
        settings: Mapping[str, str],
    ) -> dict[str, Any]:
        uid, gid = map(int, self.config["User"].split(":"))
        environment = [*self.config["Env"], *(f"{name}={value}" for name, value in settings.items())]
        nothing: dict[str, list[str]] = {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted")}
        own = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {
                "destination": "/tmp",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777"],
            },
            {"destination": "/data", "type": "bind", "source": str(data), "options": ["bind", "rw"]},
        ]
        shown = [
            {"destination": target, "type": "bind", "source": str(source), "options": ["bind", "ro"]}
            for target, source in mounts.items()
        ]
        return {
            "ociVersion": "1.0.2",
            "root": {"path": str(self.root), "readonly": True},
            "hostname": "pod",
            "process": {
                "user": {"uid": uid, "gid": gid},
                "args": list(argv),
                "env": environment,
                "cwd": self.config["WorkingDir"],
                "noNewPrivileges": True,
                "capabilities": nothing,
            },
            "mounts": [*own, *shown],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
                "maskedPaths": [f"/proc/{name}" for name in MASKED],
                "readonlyPaths": [f"/proc/{name}" for name in READ_ONLY],
                **({"seccomp": _filter(seccomp)} if seccomp else {}),
            },
        }


def _filter(profile: Path) -> dict[str, Any]:
    """The profile for runc, which knows no comments."""
    loaded: dict[str, Any] = json.loads(profile.read_text(encoding="utf-8"))
    rules = [{key: value for key, value in rule.items() if key != "comment"} for rule in loaded["syscalls"]]
    return {**loaded, "syscalls": rules}


def _run(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
