"""The system calls that code in the sandbox has no use for, and that reach past what namespaces keep apart. Pure.

A classic BPF program for ``bwrap --seccomp``: seccomp(2), ``linux/filter.h``; the numbers are those of
``asm/unistd_64.h`` and, for aarch64, of ``asm-generic/unistd.h``. A refused call fails with EPERM.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

CLONE_NEWUSER = 0x10000000
X32 = 0x40000000
"""From here on x86-64 counts the calls of another ABI, by which all of them could be made again."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; little endian
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000

_OTHERS_MEMORY = ("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd")
"""A connector under test is a child of the tests that judge it."""
_KEYRINGS = ("add_key", "request_key", "keyctl")
"""No namespace holds them: the session's keys of whoever starts us are those of all children."""
_UNCOUNTED_MEMORY = ("memfd_create", "memfd_secret", "shmget", "msgget")
"""Memory that no process's size shows and no limit of ours bounds."""
_KERNEL = ("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register")
_NAMESPACES = ("unshare", "setns")
REFUSED = (*_OTHERS_MEMORY, *_KEYRINGS, *_UNCOUNTED_MEMORY, *_KERNEL, *_NAMESPACES)

_SAME_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "clone3": 435,
    "pidfd_getfd": 438,
    "memfd_secret": 447,
}


@dataclass(frozen=True)
class Machine:
    """``audit``: its name to the kernel (``linux/audit.h``)."""

    audit: int
    numbers: dict[str, int]


MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        _SAME_EVERYWHERE
        | {"shmget": 29, "clone": 56, "msgget": 68, "ptrace": 101, "add_key": 248, "request_key": 249}
        | {"keyctl": 250, "unshare": 272, "perf_event_open": 298, "setns": 308, "process_vm_readv": 310}
        | {"process_vm_writev": 311, "kcmp": 312, "memfd_create": 319, "bpf": 321, "userfaultfd": 323},
    ),
    "aarch64": Machine(
        0xC00000B7,
        _SAME_EVERYWHERE
        | {"unshare": 97, "ptrace": 117, "msgget": 186, "shmget": 194, "add_key": 217, "request_key": 218}
        | {"keyctl": 219, "clone": 220, "perf_event_open": 241, "setns": 268, "process_vm_readv": 270}
        | {"process_vm_writev": 271, "kcmp": 272, "memfd_create": 279, "bpf": 280, "userfaultfd": 282},
    ),
}


def filter_program(machine: str | None = None) -> bytes | None:
    """The filter for ``machine`` (default: this one); None for one whose calls are not known here."""
    known = MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    numbers = [known.numbers[name] for name in REFUSED]
    lines: list[tuple[int, int, str, str]] = [
        (_LOAD, _MACHINE, "", ""),
        (_EQUAL, known.audit, "", "refuse"),
        (_LOAD, _NUMBER, "", ""),
        (_AT_LEAST, X32, "refuse", ""),
        *((_EQUAL, number, "refuse", "") for number in numbers),
        # its flags are in memory, where no filter looks: without it everybody uses clone
        (_EQUAL, known.numbers["clone3"], "missing", ""),
        (_EQUAL, known.numbers["clone"], "", "allow"),
        (_LOAD, _FIRST_ARGUMENT, "", ""),
        (_ANY_BIT, CLONE_NEWUSER, "refuse", ""),
    ]
    ends = {"": 0, "allow": _ALLOW, "refuse": _FAIL | errno.EPERM, "missing": _FAIL | errno.ENOSYS}
    place = {name: len(lines) + n for n, name in enumerate(list(ends)[1:])}
    code = b""
    for at, (operation, value, if_so, if_not) in enumerate(lines):
        jumps = (place[name] - at - 1 if name else 0 for name in (if_so, if_not))
        code += struct.pack("=HBBI", operation, *jumps, value)
    return code + b"".join(struct.pack("=HBBI", _RETURN, 0, 0, ends[name]) for name in place)
