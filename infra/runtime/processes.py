"""Children that never outlive their parent, what they are called, and what they do not inherit."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

MODEL_KEYS = "ANTHROPIC_"
"""For agents."""

COLLECTOR_KEYS = "OTEL_EXPORTER_"
"""For the gateway: the headers hold a credential."""

_KEYS = (MODEL_KEYS, COLLECTOR_KEYS)


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


def without_keys(environment: Mapping[str, str] | None = None, *, keep: str | None = None) -> dict[str, str]:
    """``environment`` (default: this process's) without what belongs to a client of a language model or of a
    collector, the keys above all: for every child that is none. ``keep``: those of them that begin so stay."""
    given = os.environ if environment is None else environment
    kept = () if keep is None else (keep,)
    return {name: value for name, value in given.items() if not name.startswith(_KEYS) or name.startswith(kept)}


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
