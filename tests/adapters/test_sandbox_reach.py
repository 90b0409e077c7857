"""What namespaces alone do not keep apart, and what the kernel would give to anybody who asks: each by name.

One program tries all of it, and is run once: outside the sandbox most of it works.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import platform
import secrets
import socket
import struct
import sys
from pathlib import Path

import pytest

from infra.runtime.sandbox import Limits, Request, run, syscalls
from tests.support.elsewhere import container, nobody
from tests.support.elsewhere import run as run_elsewhere
from tests.support.sandboxed import confined

JOIN_SESSION_KEYRING, SEARCH, SESSION, UNLINK = 1, 10, -3, 9
KEY = b"connectors-canary"

TRY_IT = r"""
import ctypes, json, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
numbers, abstract = json.loads(sys.argv[1]), sys.argv[2]
NEW_USER, SIGCHLD = 0x10000000, 17

def call(name, *arguments):
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return libc.syscall(ctypes.c_long(numbers[name]), *words) >= 0

def cloned():
    pid = libc.syscall(ctypes.c_long(numbers["clone"]), ctypes.c_long(NEW_USER | SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0

def cloned_by_the_newer_call():
    arguments = (ctypes.c_uint64 * 8)(NEW_USER, 0, 0, 0, SIGCHLD)
    pid = libc.syscall(ctypes.c_long(numbers["clone3"]), arguments, ctypes.c_long(64))
    if pid == 0:
        os._exit(0)
    return pid > 0

def parents_memory():
    word, place = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
    vectors = [(ctypes.c_void_p * 2)(ctypes.addressof(each), 8) for each in (word, place)]
    child = os.fork()
    if child == 0:
        arguments = (os.getppid(), vectors[0], 1, vectors[1], 1, 0)
        os._exit(0 if call("process_vm_writev", *arguments) else 1)
    return os.waitpid(child, 0)[1] == 0

TRIES = {
    "read a key of the session outside": lambda: call("keyctl", 10, -3, b"user", b"connectors-canary", 0),
    "add a key": lambda: call("add_key", b"user", b"mine", b"x", 1, -3),
    "trace the supervisor": lambda: call("ptrace", 0x4206, 1, 0, 0),
    "write to a parent's memory": parents_memory,
    "write to the supervisor's memory": lambda: open("/proc/1/mem", "r+b"),
    "see the supervisor's environment": lambda: open("/proc/1/environ", "rb").read(),
    "take a file of the supervisor's": lambda: os.open("/proc/1/fd/0", os.O_RDWR),
    "memory that no process owns": lambda: call("memfd_create", b"x", 0),
    "shared memory that outlives its process": lambda: call("shmget", 0, 1 << 30, 0o1600),
    "queues that outlive their process": lambda: call("msgget", 0, 0o1600),
    "load a program into the kernel": lambda: call("bpf", 0, ctypes.create_string_buffer(128), 128),
    "count the machine's events": lambda: call("perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0),
    "hold page faults": lambda: call("userfaultfd", 1),
    "a ring of calls that nobody filters": lambda: call("io_uring_setup", 4, ctypes.create_string_buffer(256)),
    "a user namespace": lambda: libc.unshare(NEW_USER) == 0,
    "a user namespace by clone": cloned,
    "a user namespace by clone3": cloned_by_the_newer_call,
    "the calls of another ABI": lambda: libc.syscall(ctypes.c_long(0x40000000 | 39)) > 0,
    "set the clock": lambda: libc.clock_settime(0, ctypes.create_string_buffer(16)) == 0,
    "mount something": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0,
    "change the root": lambda: os.chroot("/tmp") is None,
    "make a device": lambda: os.mknod("/tmp/disk", 0o060600, os.makedev(254, 0)) is None,
    "gain rights by a program": lambda: libc.prctl(39, 0, 0, 0, 0) != 1,
    "an abstract socket outside": lambda: socket.socket(socket.AF_UNIX).connect("\0" + abstract) is None,
    "a terminal": lambda: os.open("/dev/tty", os.O_RDWR),
    "a disk": lambda: any(each.startswith(("sd", "vd", "nvme", "mem", "fuse")) for each in os.listdir("/dev")),
    "a file that was left open": lambda: any(is_open(fd) for fd in range(3, 1024)),
}

def is_open(fd):
    try:
        return os.fstat(fd) is not None
    except OSError:
        return False

def works(attempt):
    try:
        return bool(attempt())
    except OSError:
        return False

print(json.dumps({name: works(attempt) for name, attempt in reversed(TRIES.items())}))
"""
NAMES = [line.split('"')[1] for line in TRY_IT.splitlines() if line.startswith('    "')]


def _keep_a_key() -> None:
    """In a session keyring of this process, as a login or systemd gives one to all that it starts."""
    libc, numbers = ctypes.CDLL(None), syscalls.MACHINES[platform.machine()].numbers
    libc.syscall(ctypes.c_long(numbers["keyctl"]), ctypes.c_long(JOIN_SESSION_KEYRING), None)
    content, length = b"s3cret", ctypes.c_long(6)
    libc.syscall(ctypes.c_long(numbers["add_key"]), b"user", KEY, content, length, ctypes.c_long(SESSION))


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """What the program could do, by name."""
    if syscalls.filter_program() is None:
        pytest.skip(f"there is no filter of system calls for {platform.machine()}")
    _keep_a_key()
    abstract = f"connectors-{secrets.token_hex(8)}"
    numbers = json.dumps(syscalls.MACHINES[platform.machine()].numbers)

    async def tried() -> dict[str, bool]:
        isolation = await confined()
        argv = ("{python}", "-I", "-c", TRY_IT, numbers, abstract)
        tree = tmp_path_factory.mktemp("tree")
        report = await run(Request(tree, argv, python=Path(sys.executable), limits=Limits(wall_s=30)), isolation)
        assert report.exit_code == 0, report.stderr
        found: dict[str, bool] = json.loads(report.stdout)
        return found

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + abstract)
        listener.listen()
        return asyncio.run(tried())


@pytest.mark.parametrize("name", NAMES)
def test_is_out_of_reach(reached: dict[str, bool], name: str) -> None:
    assert not reached[name]


def test_every_attempt_is_judged(reached: dict[str, bool]) -> None:
    assert set(NAMES) == set(reached)


@pytest.mark.parametrize("machine", syscalls.MACHINES)
def test_filter_refuses_the_named_calls_alone_and_jumps_within_itself(machine: str) -> None:
    """The program is interpreted as the kernel does it, for either machine."""
    program = syscalls.filter_program(machine)
    assert program is not None
    known = syscalls.MACHINES[machine]

    def answer(number: int, first: int = 0, audit: int = known.audit) -> int:
        data = struct.pack("=IIQQ", number, audit, 0, first)
        lines = list(struct.iter_unpack("=HBBI", program))
        at = loaded = 0
        while True:
            operation, if_so, if_not, value = lines[at]
            at += 1
            if operation == 0x20:
                (loaded,) = struct.unpack_from("=I", data, value)
            elif operation == 0x06:
                return int(value)
            else:
                holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[operation]
                at += if_so if holds else if_not

    allowed, refused, missing = 0x7FFF0000, 0x00050001, 0x00050026
    assert {answer(known.numbers[name]) for name in syscalls.REFUSED} == {refused}
    assert answer(known.numbers["clone3"]) == missing
    assert (answer(known.numbers["clone"], 17), answer(known.numbers["clone"], 0x10000011)) == (allowed, refused)
    assert answer(0, audit=0x40000003) == refused, "another machine's calls"
    others = set(range(450)) - set(known.numbers.values())
    assert {answer(number) for number in others} == {allowed}


def test_unknown_machine_has_no_filter() -> None:
    assert syscalls.filter_program("riscv64") is None


# --- where isolation works less, or is not ours to give -----------------------------------------------

HERE = "tests/adapters/test_sandbox.py"
QUICK = "files_home or nothing_outside or network or namespaces or shared_between or writable_copy or daemons"
PLACES = {"as somebody who is not root": nobody, "in a container": container}


def _suite(place: str, which: str) -> None:
    done = run_elsewhere(
        PLACES[place](), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", HERE, __file__, "-k", which
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "SKIPPED" not in done.stdout, done.stdout[-2000:]


@pytest.mark.parametrize("place", PLACES)
def test_what_matters_is_contained_elsewhere_too(place: str) -> None:
    _suite(place, f"(({QUICK}) and not process) or out_of_reach")


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_all_is_contained_elsewhere_too(place: str) -> None:
    _suite(place, "not process and not elsewhere and not container")


def test_a_container_leaves_no_proc_and_says_so() -> None:
    look = (
        "import asyncio; from infra.runtime.sandbox import probe;"
        "found = asyncio.run(probe()); print(found.kind, found.proc, found.note)"
    )
    done = run_elsewhere(container(), "-c", look)
    kind, proc, note = done.stdout.split(" ", 2)
    assert (kind, proc) == ("bubblewrap", "False"), done.stderr
    assert "without a /proc of its own" in note
