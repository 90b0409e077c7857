"""Children that never outlive their parent, and what the system calls them."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def die_with_parent() -> None:
    """For ``preexec_fn``. Linux: the kernel ends the child when the thread that started it ends, however that
    happened (prctl(2), PR_SET_PDEATHSIG). Elsewhere it does nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def name_process(name: str) -> None:
    """What ``ps -o comm`` and ``top`` show, cut to 15 bytes (prctl(2), PR_SET_NAME). Elsewhere it does nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())
