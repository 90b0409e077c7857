"""Hostile programs in the sandbox, both with namespaces and without; the relay; the bounds."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from contracts.errors import Transient
from contracts.reports import Isolation
from infra.runtime.sandbox import (
    Limits,
    Report,
    Request,
    Stop,
    cgroup,
    free_port,
    probe,
    run,
    session,
    start,
)
from infra.runtime.sandbox.models import MIB
from tests.support.sandboxed import alive, confined, some_time

PYTHON = Path(sys.executable)
KINDS = ("bubblewrap", "process")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "hello.txt").write_text("hello")
    return folder


@pytest.fixture(params=KINDS)
async def isolation(request: pytest.FixtureRequest) -> Isolation:
    found = await probe()
    if request.param == "bubblewrap" and found.kind != "bubblewrap":
        pytest.skip(found.note)
    return found if request.param == found.kind else Isolation(kind=request.param)


@pytest.fixture
async def isolated() -> Isolation:
    return await confined()


async def python(tree: Path, code: str, isolation: Isolation, **more: object) -> Report:
    return await run(Request(tree, ("{python}", "-I", "-c", code), python=PYTHON, **more), isolation)  # type: ignore[arg-type]


async def test_program_gets_its_tree_files_and_environment_and_nothing_else(tree, isolation):
    code = (
        "import os, sys; print(sorted(os.environ), open('hello.txt').read(),"
        " open(os.environ['IN'] + '/config.json').read(), sys.stdin.read() == '')"
    )
    os.environ["CONNECTORS_TEST_SECRET"] = "s3cret"
    try:
        report = await python(tree, code, isolation, env={"IN": "{input}"}, files={"config.json": b"{}"})
    finally:
        del os.environ["CONNECTORS_TEST_SECRET"]
    assert report.exit_code == 0, report.stderr
    assert report.stdout == b"['HOME', 'IN', 'LANG', 'PATH', 'TMPDIR'] hello {} True\n"


async def test_exit_code_and_signal_are_reported(tree, isolation):
    assert (await python(tree, "raise SystemExit(7)", isolation)).exit_code == 7
    killed = await python(tree, "import os; os.kill(os.getpid(), 9)", isolation)
    assert (killed.exit_code, killed.signal, killed.stopped) == (None, 9, None)


async def test_program_that_is_not_there_exits_127(tree, isolation):
    report = await run(Request(tree, ("/no/such/program",)), isolation)
    assert report.exit_code == 127
    assert b"/no/such/program" in report.stderr


async def test_files_home_and_processes_outside_are_out_of_reach(tree, isolated, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    outside = [str(secret), __file__, "/etc/shadow", "/root/.ssh"]
    # the interpreter may lie below one of these; then its own folders are there, and nothing beside them
    outside += [path for path in ("/home", "/var") if not str(PYTHON).startswith(path)]
    code = f"""
import os
assert not os.path.exists(os.path.expanduser("~/.profile")) and os.path.expanduser("~") == "/tmp"
if os.path.exists("/proc"):
    assert not any(int(p) > 20 for p in os.listdir("/proc") if p.isdigit()), "processes outside"
for path in {outside!r}:
    assert not os.path.exists(path), path
try:
    os.kill(-1, 9)  # whomever it can see
except ProcessLookupError:
    pass
"""
    beside = await asyncio.create_subprocess_exec("sleep", "60")
    report = await python(tree, code, isolated)
    assert report.exit_code == 0, report.stderr
    assert beside.returncode is None
    beside.kill()
    assert await beside.wait() == -signal.SIGKILL


async def test_nothing_outside_can_be_written(tree, isolated):
    code = """
import os
for path in ("x", "/x", "/usr/x", "/etc/x", "/dev/x", "/sandbox/x", "/proc/sys/kernel/hostname",
             "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
    try:
        open(path, "w").write("x")
    except OSError:
        continue
    raise AssertionError(path)
try:
    for n in range(100):
        open(f"/tmp/{n}", "wb").write(bytes(1 << 20))
except OSError as error:
    assert error.errno == 28, error
else:
    raise AssertionError("the temporary folder has no end")
"""
    report = await python(tree, code, isolated, limits=Limits(disk_bytes=20 * MIB))
    assert report.exit_code == 0, report.stderr
    assert [path.name for path in tree.iterdir()] == ["hello.txt"]


async def test_network_is_out_of_reach(tree, isolated):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = f"""
import socket
for host, port in (("127.0.0.1", {listener.getsockname()[1]}), ("10.0.0.1", 80), ("1.1.1.1", 53)):
    try:
        socket.create_connection((host, port), 1)
    except OSError:
        continue
    raise AssertionError(host)
"""
        report = await python(tree, code, isolated)
    assert report.exit_code == 0, report.stderr


async def test_new_user_namespaces_are_refused(tree, isolated):
    code = "import ctypes; libc = ctypes.CDLL(None); print(libc.unshare(0x10000000))"
    assert (await python(tree, code, isolated)).stdout == b"-1\n"


async def test_writable_copy_leaves_the_tree_alone_and_outputs_come_back(tree, isolation):
    code = """
import os
open('hello.txt', 'a').write(' you'); open('out.txt', 'w').write('made')
os.symlink('/etc/hostname', 'link.txt'); open('big.txt', 'wb').write(bytes(5 << 20))
"""
    report = await python(
        tree,
        code,
        isolation,
        writable=True,
        outputs=("out.txt", "hello.txt", "link.txt", "missing.txt", "../escape.txt"),
        limits=Limits(file_bytes=6 * MIB),
    )
    assert report.exit_code == 0, report.stderr
    assert report.files == {"out.txt": b"made", "hello.txt": b"hello you"}
    assert (tree / "hello.txt").read_text() == "hello"
    assert not (tree / "out.txt").exists()


async def test_wall_time_ends_a_program_that_ignores_signals(tree, isolation):
    nap = some_time()
    code = f"import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (15, 2, 1)]; time.sleep({nap})"
    began = time.monotonic()
    report = await python(tree, code, isolation, limits=Limits(wall_s=0.5))
    assert report.stopped is Stop.WALL_TIME
    assert time.monotonic() - began < 5
    assert not alive(nap)


async def test_daemons_left_behind_are_killed(tree, isolation):
    nap = some_time()
    code = f"""
import os, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep({nap})
        os._exit(0)
print("gone", flush=True)
"""
    report = await python(tree, code, isolation)
    assert (report.exit_code, report.stdout) == (0, b"gone\n")
    assert not alive(nap)


async def test_cancelled_start_leaves_nothing(tree, isolation):
    """Also while bwrap is still at work: its process 1 waits for it then, and does not die with it."""
    nap = some_time()
    for n in range(40):
        running = asyncio.create_task(run(Request(tree, ("/usr/bin/sleep", nap)), isolation))
        await asyncio.sleep(n * 0.001)
        running.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(running, return_exceptions=True)
    assert not alive(nap)
    assert not alive(str(tree))


@pytest.fixture
async def _bounded() -> None:
    """Where nothing but looking from outside bounds a bomb, it wins on a busy machine, and takes that with it."""
    if (made := cgroup.group(1)) is not None:
        await made.remove()
    elif os.getuid() == 0:
        pytest.skip("root, and no control group may be made here: the kernel does not bound the processes")


@pytest.mark.usefixtures("_bounded")
async def test_fork_bomb_is_stopped(tree, isolation):
    nap = some_time()
    code = f"""
import os
{nap}
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
    began = time.monotonic()
    report = await python(tree, code, isolation, limits=Limits(wall_s=10, processes=50))
    assert report.stopped in (Stop.PROCESSES, Stop.WALL_TIME) or report.signal
    assert time.monotonic() - began < 20
    assert not alive(nap)


@pytest.mark.usefixtures("_bounded")
async def test_kernel_refuses_more_processes_than_allowed_even_if_nobody_looks(tree, isolation, monkeypatch):
    monkeypatch.setattr(session, "FIRST_WATCH_S", 60)
    nap = some_time()
    code = f"""
import subprocess
started = []
try:
    while len(started) < 200:
        started.append(subprocess.Popen(["/usr/bin/sleep", "{nap}"]))
except OSError:
    pass
print(len(started))
"""
    report = await python(tree, code, isolation, limits=Limits(wall_s=20, processes=50))
    assert 40 < int(report.stdout) <= 53
    assert not alive(nap)


async def test_more_processes_than_allowed_are_stopped(tree, isolation):
    nap = some_time()
    code = f"""
import os, subprocess, time
for _ in range(300):
    try:
        subprocess.Popen(["/usr/bin/sleep", "{nap}"])
    except OSError:
        pass
time.sleep(60)
"""
    report = await python(tree, code, isolation, limits=Limits(wall_s=20, processes=50))
    assert report.stopped is Stop.PROCESSES or (report.stopped is Stop.WALL_TIME and os.getuid() != 0)
    assert not alive(nap)


async def test_memory_hog_is_stopped(tree, isolation):
    report = await python(tree, "x = bytearray(10 << 30)", isolation, limits=Limits(memory_bytes=128 * MIB))
    assert (report.exit_code, b"MemoryError" in report.stderr) == (1, True)


async def test_memory_shared_between_many_processes_is_counted_together(tree, isolation):
    code = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        hold = bytearray(os.urandom(1 << 20) * 60)
        time.sleep(60)
time.sleep(60)
"""
    report = await python(tree, code, isolation, limits=Limits(wall_s=20, memory_bytes=200 * MIB))
    assert report.stopped is Stop.MEMORY


async def test_endless_output_is_cut(tree, isolation):
    report = await python(
        tree, "while True: print('x' * 1000)", isolation, limits=Limits(wall_s=20, output_bytes=2 * MIB)
    )
    assert report.stopped is Stop.OUTPUT
    assert report.truncated
    assert len(report.stdout) == 2 * MIB


async def test_endless_line_is_cut_and_costs_no_more_than_its_length(tree, isolation):
    code = "import os\nwhile True: os.write(1, b'x' * 100_000)"
    limits = Limits(wall_s=20, output_bytes=512 * MIB, line_bytes=64 * MIB)
    before = time.process_time()
    request = Request(tree, ("{python}", "-I", "-c", code), python=PYTHON, limits=limits)
    async with start(request, isolation) as running:
        assert [line async for line in running.lines()] == []
        report = await running.finish()
    assert (report.stopped, report.truncated) == (Stop.OUTPUT, True)
    assert time.process_time() - before < 2, "each piece was joined to all before it"


async def test_endless_errors_are_cut(tree, isolation):
    code = "import sys\nwhile True: sys.stderr.write('x' * 1000)"
    report = await python(tree, code, isolation, limits=Limits(wall_s=20, errors_bytes=MIB))
    assert (report.stopped, report.truncated, len(report.stderr)) == (Stop.OUTPUT, True, MIB)


async def test_lines_come_as_they_are_written_and_signals_reach_the_program(tree, isolation):
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
for n in range(1000):
    print(n, flush=True); time.sleep(0.02)
"""
    async with start(Request(tree, ("{python}", "-c", code), python=PYTHON), isolation) as session:
        seen = []
        async for line in session.lines():
            seen.append(line)
            if line == b"3":
                session.send(signal.SIGTERM)
        report = await session.finish()
    assert seen[:4] == [b"0", b"1", b"2", b"3"]
    assert len(seen) < 100
    assert report.exit_code == 3


async def test_killed_program_reports_its_signal(tree, isolation):
    code = "print('up', flush=True); import time; time.sleep(60)"
    async with start(Request(tree, ("{python}", "-c", code), python=PYTHON), isolation) as session:
        assert await anext(session.lines()) == b"up"
        session.send(signal.SIGKILL)
        report = await session.finish()
    assert report.signal == signal.SIGKILL


async def test_leaving_the_block_early_kills_everything(tree, isolation):
    nap = some_time()
    code = f"print('up', flush=True); import time; time.sleep({nap})"
    async with start(Request(tree, ("{python}", "-c", code), python=PYTHON), isolation) as session:
        await anext(session.lines())
    assert not alive(nap)


async def test_relay_carries_bytes_and_half_closes_both_ways(tree, isolation, tmp_path):
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()  # to the end: proves that the half-close passed through
        writer.write(data[::-1])
        writer.write_eof()
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(echo, tmp_path / "api.sock")
    port = free_port()
    code = f"""
import os, socket, threading
def talk(n):
    data = os.urandom(3_000_000 + n)
    with socket.create_connection(("127.0.0.1", {port})) as s:
        s.sendall(data); s.shutdown(socket.SHUT_WR)
        got = b"".join(iter(lambda: s.recv(65536), b""))
    print(got == data[::-1])
threads = [threading.Thread(target=talk, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
"""
    async with server:
        report = await python(tree, code, isolation, endpoints={port: tmp_path / "api.sock"})
    assert report.stdout == b"True\n" * 8, report.stderr


async def test_relay_passes_resets_and_refusals_on(tree, isolation, tmp_path):
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        writer.transport.abort()

    server = await asyncio.start_unix_server(cut, tmp_path / "api.sock")
    port, dead = free_port(), free_port()
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "gone.sock"))
    code = f"""
import socket
def ask(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.sendall(b"x" * 100)
            return s.recv(10)
    except ConnectionError as error:
        return b"reset"
print([ask(port) for port in ({port}, {dead}, {port})])
"""
    async with server:
        report = await python(
            tree,
            code,
            isolation,
            endpoints={port: tmp_path / "api.sock", dead: tmp_path / "gone.sock"},
            limits=Limits(wall_s=20),
        )
    assert report.exit_code == 0, report.stderr
    assert b"reset" in report.stdout.replace(b"b''", b"b'reset'")


async def test_sandbox_that_ends_at_once_says_why_and_leaves_no_file_open(tree, tmp_path, monkeypatch):
    """Whether it is over before or after somebody looks."""
    fake = tmp_path / "bin" / "bwrap"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho no rights here >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(Transient, match="no rights here"):
            await run(Request(tree, ("/usr/bin/true",)), Isolation(kind="bubblewrap"))
    assert len(os.listdir("/proc/self/fd")) <= before + 2
