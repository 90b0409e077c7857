"""Children that never outlive their parent, what they are called, and what they do not inherit."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def die_with_parent(parent: int | None = None) -> None:
    """For ``preexec_fn``. Linux: the kernel ends the child when the thread that started it ends, however that
    happened (prctl(2), PR_SET_PDEATHSIG). Elsewhere it does nothing.

    The kernel tells only what happens from now on: given ``parent``, the process id of who started this one, a
    child whose parent was killed a moment before ends here.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent not in (None, os.getppid()):
            os._exit(1)


def without_model_key(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """``environment`` (default: this process's) without what belongs to a language model's client, the key above
    all: for every child that is no agent."""
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if not name.startswith("ANTHROPIC_")}


def name_process(name: str) -> None:
    """What ``ps -o comm`` and ``top`` show, cut to 15 bytes (prctl(2), PR_SET_NAME). Elsewhere it does nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def told(code: int) -> str:
    """How a process ended, from its return code as `subprocess` has it: ``SIGKILL``, ``exit code 1``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
