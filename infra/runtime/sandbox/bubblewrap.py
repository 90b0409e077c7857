"""The command line of ``bwrap`` for one run. Pure but for looking up where a Python interpreter lives."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.runtime.sandbox.models import Layout, Request
from infra.runtime.sandbox.usage import MARK

HERE = Path(__file__).parent
SUPERVISOR = HERE / "supervisor.py"
SUPERVISOR_PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The base interpreter, not that of our virtual environment: nothing of ours can be imported inside."""

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
READ_ONLY_PROC = tuple(f"/proc/{name}" for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"))
"""If root starts us, the owner of these files is root inside as well, user namespace or not, and bwrap 0.8 leaves
most of them writable: /proc/sys/kernel/core_pattern is a way out."""

SHM_BYTES = 16 * 1024 * 1024


def layout(request: Request) -> Layout:
    return Layout(
        work=request.work,
        input="/sandbox/input",
        tmp="/tmp",  # noqa: S108 - inside the sandbox it is private
        endpoints={port: f"/sandbox/{port}.sock" for port in request.endpoints},
        copy_from="/sandbox/tree" if request.writable else None,
    )


def command(bwrap: str, request: Request, info_fd: int, filter_fd: int | None, *, proc: bool) -> list[str]:
    """``bwrap`` with every namespace of its own and a read-only root; the supervisor is its process 1.

    Args:
        info_fd: where it writes which process that is.
        filter_fd: where `syscalls.filter_program` can be read; None where there is none.
        proc: without, as a container needs it: its kernel mounts no new /proc where parts of the old one are masked
            (``mount_too_revealing``), and /proc/sys, where ``--disable-userns`` writes, is read-only there.
    """
    limits = request.limits
    args = [bwrap, "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    args += ["--cap-drop", "ALL", "--as-pid-1", "--die-with-parent", "--new-session", "--clearenv"]
    args += ["--hostname", "sandbox", "--info-fd", str(info_fd), "--dev", "/dev"]
    if filter_fd is not None:
        args += ["--seccomp", str(filter_fd)]
    args += ["--size", str(min(SHM_BYTES, limits.disk_bytes)), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    if proc:
        args += ["--disable-userns", "--proc", "/proc"]
        for path in READ_ONLY_PROC:
            args += ["--ro-bind-try", path, path]
    for folder in ("/tmp", "/sandbox/input"):  # noqa: S108
        args += ["--size", str(limits.disk_bytes), "--tmpfs", folder]
    for path in SYSTEM:
        args += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind-try", path, path]
    for name in ("hosts", "passwd", "group", "nsswitch.conf"):
        args += ["--ro-bind", str(HERE / "etc" / name), f"/etc/{name}"]
    for path in ("/etc/ld.so.cache", "/etc/alternatives"):
        args += ["--ro-bind-try", path, path]
    for root in sorted({*interpreter_roots(SUPERVISOR_PYTHON), *interpreter_roots(request.python)}):
        args += ["--ro-bind", root, root]
    for shown in request.readable:
        args += ["--ro-bind", str(shown), str(shown)]
    if request.writable:
        args += [
            "--ro-bind",
            str(request.tree),
            "/sandbox/tree",
            "--size",
            str(limits.disk_bytes),
            "--tmpfs",
            request.work,
        ]
    else:
        args += ["--ro-bind", str(request.tree), request.work]
    for port, listening in request.endpoints.items():
        args += ["--ro-bind", str(listening), f"/sandbox/{port}.sock"]
    args += ["--ro-bind", str(SUPERVISOR), f"/{MARK}", "--remount-ro", "/", "--chdir", "/"]
    return [*args, "--", str(SUPERVISOR_PYTHON), "-I", "-S", f"/{MARK}"]


def interpreter_roots(python: Path | None) -> Iterator[str]:
    """The folders without which ``python`` does not start: its virtual environment, and the prefix of each
    interpreter that it is a symbolic link to. Those below ``SYSTEM`` are there anyway."""
    seen: set[str] = set()
    while python is not None and str(python) not in seen:
        seen.add(str(python))
        root = python.parent.parent
        if not str(root).startswith(SYSTEM):
            yield str(root)
        python = python.parent / os.readlink(python) if python.is_symlink() else None
