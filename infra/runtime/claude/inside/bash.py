"""Runs one command in bash and brings back what it left. Arguments: the command's file, seconds, bytes of output.

Prints one line of JSON, ``{"exit": int | null, "head": str, "omitted": int, "tail": str}`` (exit null: it took too
long), and writes the working folder as ``.workspace.tar``: regular files only, without what using a package leaves.
What it says is as little to be believed as the command itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tarfile
import time

TAR = ".workspace.tar"
CHUNK = 65536


def run(command: str, seconds: float, most: int) -> dict[str, object]:
    """The command's end, and the beginning and the end of what it wrote to stdout and stderr."""
    process = subprocess.Popen(  # noqa: S603 - that is what it is for
        ["/bin/bash", "--noprofile", "--norc", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    deadline = time.monotonic() + seconds
    head, tail, total = b"", b"", 0
    while (left := deadline - time.monotonic()) > 0:
        # A process in the background may hold the pipe open: it is not waited for.
        if select.select([pipe], [], [], min(left, 0.1))[0]:
            if not (chunk := os.read(pipe, CHUNK)):
                break
            total += len(chunk)
            room = most - len(head)
            head += chunk[:room]
            tail = (tail + chunk[room:])[-most:] if len(chunk) > room else tail
        elif process.poll() is not None:
            break
    try:
        code: int | None = process.wait(max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        code = None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return {
        "exit": code,
        "head": head.decode(errors="replace"),
        "omitted": total - len(head) - len(tail),
        "tail": tail.decode(errors="replace"),
    }


def pack(root: str, left_out: list[str]) -> None:
    """All regular files below ``root``."""
    with tarfile.open(os.path.join(root, TAR), "w") as tar:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(n for n in folders if n not in left_out and not n.endswith(".egg-info"))
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path) and name != TAR:
                    member = tarfile.TarInfo(os.path.relpath(path, root))
                    member.size = os.path.getsize(path)
                    with open(path, "rb") as file:
                        tar.addfile(member, file)


if __name__ == "__main__":
    told = run(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    if told["exit"] is not None:
        pack(os.getcwd(), sys.argv[4].split(","))
    print(json.dumps(told))
