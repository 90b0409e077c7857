"""Starts a program of ours as it would run elsewhere: as somebody who is not root, or in a container."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

USER = "10001"
ROOT = os.getuid() == 0

MASKED_FILES = ("/proc/keys", "/proc/timer_list")
MASKED_FOLDERS = ("/proc/acpi", "/proc/irq")
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/sys")
"""As container engines have it: https://github.com/moby/moby/blob/master/oci/defaults.go, some of each list."""


def nobody() -> tuple[str, ...]:
    """The words before a command by which it runs without root's rights; skips where that cannot be had."""
    if not ROOT:
        return ()
    _need("setpriv", "util-linux")
    words = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all")
    words += ("--inh-caps=-all", "--no-new-privs")
    return words


def container() -> tuple[str, ...]:
    """The words by which it runs in what a pod of ours is: not root, a read-only root, no capabilities, and a /proc
    that is partly masked. A user namespace stands for the engine; the kernel looks at nothing else."""
    _need("bwrap", "bubblewrap")
    words = (*nobody(), "bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--uid", USER, "--gid", USER)
    words += ("--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp", "--proc", "/proc")
    for path in filter(os.path.exists, MASKED_FILES):
        words += ("--ro-bind", "/dev/null", path)
    for path in filter(os.path.exists, MASKED_FOLDERS):
        words += ("--tmpfs", path, "--remount-ro", path)
    for path in filter(os.path.exists, READ_ONLY):
        words += ("--ro-bind", path, path)
    if not _starts([*words, "true"]):
        pytest.skip("bubblewrap works too little here for a container to be made of it")
    return words


def run(words: Sequence[str], *args: str, timeout_s: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    """Our interpreter with ``args`` after ``words``, in this repository; only ``env`` is set, and what a program
    cannot do without. Root's own interpreter may be out of others' reach: then the system's, if it is the same."""
    given = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    given["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    argv = [*words, _python(words), *args]
    return subprocess.run(argv, env=given | env, text=True, capture_output=True, timeout=timeout_s, check=False)


def _python(words: Sequence[str]) -> str:
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    same = f"import sys; raise SystemExit(sys.version != {sys.version!r})"
    if _starts([*words, os.path.realpath(sys.executable), "-I", "-c", same]):
        return sys.executable
    if not _starts([*words, system, "-I", "-c", ""]):
        pytest.skip(f"others than root can start no Python here: ours is in a folder of root's, and no {system}")
    return system


def _starts(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def _need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt install {package}")
