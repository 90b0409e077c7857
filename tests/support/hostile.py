"""Functions for a confined child process to run: each misbehaves in its own way."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from contracts.errors import Permanent, Rejected, Transient


def echo(*values: Any) -> list[Any]:
    print("noise on stdout")  # must not disturb the answer
    return list(values)


def refuse(kind: str) -> None:
    raise {"Rejected": Rejected, "Transient": Transient, "Permanent": Permanent}[kind]("it is bad", where="/a/b")


def break_down() -> None:
    raise KeyError("oops")


def eat() -> int:
    return len(bytearray(10 * 1024 * 1024 * 1024))


def eat_slowly() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(10_000_000))


def recurse() -> None:
    recurse()


def spin() -> None:
    while True:
        pass


def leave_a_grandchild(folder: str) -> None:
    """Its id is the name of a folder: files cannot be written here."""
    if (grandchild := os.fork()) == 0:
        time.sleep(60)
    os.mkdir(f"{folder}/{grandchild}")


def wait() -> None:
    time.sleep(60)


def vanish(code: int) -> None:
    os._exit(code)


def environment() -> dict[str, str]:
    return dict(os.environ)


def write_file(path: str) -> None:
    with open(path, "w") as file:
        file.write("x" * 100)
        file.flush()


def lie() -> None:
    sys.stdout.flush()
    for fd in range(3, 64):
        try:
            os.write(fd, b"\x80\x04cposix\nsystem\n(S'id'\ntR.")
        except OSError:
            continue
    os._exit(0)
