"""Runs one function over hostile input in a child process of its own: it can neither hang, nor eat memory, nor
block the event loop, nor take the service down with it.

The child is a fresh interpreter without the environment's secrets. Arguments go in as a pickle (we wrote them); the
result comes out as MessagePack of plain values, so that a subverted child cannot make the parent run anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from contracts import errors
from contracts.errors import ConnectorsError, Permanent, Rejected

MIB = 1024 * 1024
_OUTPUT_BYTES = 512 * MIB
_ERRORS: dict[str, type[ConnectorsError]] = {
    name: kind for name in ("Transient", "Permanent", "Rejected") for kind in [getattr(errors, name)]
}


async def run_isolated(
    func: Callable[..., Any], *args: Any, timeout_s: float = 60.0, memory_bytes: int = 2048 * MIB
) -> Any:
    """What ``func(*args)`` returns, run in a child process. ``func`` is a module-level function; the result must be
    plain: bytes, str, numbers, None, lists, dicts (tuples come back as lists). The child is killed on time-out
    and when this call is cancelled.

    Raises:
        Transient, Permanent, Rejected: what ``func`` raised, with its text and place.
        Rejected: it took longer than ``timeout_s`` or more memory than ``memory_bytes``.
        Permanent: it broke in another way (a bug here; the text names the error, without a trace).
    """
    task = pickle.dumps((func.__module__, func.__qualname__, args))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from infra.runtime.isolated import main; main()",
        str(memory_bytes),
        str(int(timeout_s) + 2),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate(task)
    except TimeoutError:
        raise Rejected(
            f"the input took more than {timeout_s:g} s to process: it is too large or too tangled"
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the whole session: what the child left behind, too
        await process.wait()
    return _result(output, process.returncode, memory_bytes)


def _environment() -> dict[str, str]:
    """Only what a Python needs to find the same code."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", "PYTHONSAFEPATH": "1"}


def _result(output: bytes, code: int | None, memory_bytes: int) -> Any:
    try:
        answer = msgspec.msgpack.decode(output) if code == 0 else None
    except msgspec.DecodeError:
        answer = None
    if not isinstance(answer, dict):
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            raise Rejected("the input took too much computing time or memory to process and was given up")
        raise Permanent(f"processing the input ended abnormally (exit {code})")
    if "result" in answer:
        return answer["result"]
    if answer.get("kind") == "MemoryError":
        raise Rejected(f"the input needs more than {memory_bytes // MIB:,} MiB of memory to process")
    kind = _ERRORS.get(str(answer.get("kind")))
    if kind is None:
        raise Permanent(f"processing the input failed: {answer.get('what')}")
    raise kind(str(answer.get("what")), where=answer.get("where"))


# --- in the child ---------------------------------------------------------------------------------


def main() -> None:
    """Entry of the child: limits first, then the task from stdin, then the answer to stdout."""
    memory_bytes, cpu_s = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    out.write(_answer(sys.stdin.buffer.read()))
    out.close()
    os._exit(0)


def _answer(task: bytes) -> bytes:
    try:
        module, name, args = pickle.loads(task)  # noqa: S301 - written by our own parent
        func = getattr(importlib.import_module(module), name)
        return msgspec.msgpack.encode({"result": func(*args)})
    except ConnectorsError as error:
        kind = next(name for name, known in reversed(_ERRORS.items()) if isinstance(error, known))
        return msgspec.msgpack.encode({"kind": kind, "what": error.what, "where": error.where})
    except MemoryError:
        return msgspec.msgpack.encode({"kind": "MemoryError"})
    except Exception as error:  # the boundary: whatever it was, the parent must be told in one line
        return msgspec.msgpack.encode({"kind": "bug", "what": f"{type(error).__name__}: {error}"[:500]})
