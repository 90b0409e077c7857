"""A running sandbox: watches it, reads what comes out, and makes sure that nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from contracts.errors import Transient
from contracts.reports import Isolation
from infra.runtime.sandbox import usage
from infra.runtime.sandbox.cgroup import Group
from infra.runtime.sandbox.models import Report, Request, Stop

WATCH_EVERY_S = 0.1
FIRST_WATCH_S = 0.02
CHUNK = 256 * 1024
LAST_WORDS_S = 10.0
DRAIN_S = 2.0
KILL_ROUNDS = 50


@dataclass
class Session:
    """A running sandbox. Read `lines` or call `finish`; `send` a signal to the program at any time.

    ``handle`` is a pidfd of the outermost process, ``init`` the pid of the sandbox's first, ``group`` what bounds
    the number of its processes where that can be had."""

    request: Request
    isolation: Isolation
    process: asyncio.subprocess.Process
    control: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    handle: int
    init: int
    init_handle: int
    group: Group | None = None
    started: float = field(default_factory=time.monotonic)
    stopped: Stop | None = None
    truncated: bool = False
    peak_bytes: int = 0
    read_bytes: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _errors: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._tasks = [
            asyncio.create_task(self._deadline()),
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._collect_errors()),
        ]
        # from the start: only once these are heard is the rest killed, and stdout comes to its end
        self._words = asyncio.create_task(self._last_words())

    async def lines(self) -> AsyncIterator[bytes]:
        """stdout line by line, without the line's end, as they come; ends with the program, or with a line that is
        longer than allowed."""
        begun: list[bytes] = []  # joined once: a line without an end costs its length, not the square of it
        length = 0
        async for chunk in self._chunks():
            *whole, rest = chunk.split(b"\n")
            for line in whole:
                yield b"".join((*begun, line))
                begun, length = [], 0
            begun.append(rest)
            length += len(rest)
            if length > self.request.limits.line_bytes:
                self.truncated = True
                self._stop(Stop.OUTPUT)
                return
        if length:
            yield b"".join(begun)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program (not to the sandbox); does nothing if it has ended."""
        with contextlib.suppress(ConnectionError):
            self.control[1].write(b"%d\n" % number)

    async def finish(self) -> Report:
        """Wait for the end. stdout is what `lines` has not taken."""
        output = b"".join([chunk async for chunk in self._chunks()])
        status, cpu_ms, peak_kib, files = await self._words
        await self._tasks[-1]
        duration_s = time.monotonic() - self.started
        if status is None and self.stopped is None:
            await self.process.wait()
            raise Transient(
                f"the sandbox did not work: {bytes(self._errors[-500:]).decode(errors='replace').strip()}"
            )
        code = os.waitstatus_to_exitcode(status) if status is not None and self.stopped is None else None
        return Report(
            isolation=self.isolation,
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            stopped=self.stopped,
            stdout=output,
            stderr=bytes(self._errors),
            truncated=self.truncated,
            files=files,
            duration_s=duration_s,
            cpu_s=cpu_ms / 1000,
            peak_bytes=max(self.peak_bytes, peak_kib * 1024),
        )

    async def end(self) -> None:
        """Kill whatever is left and wait for it."""
        self._stop_tree()
        tasks = (*self._tasks, self._words)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.control[1].close()
        await self.process.wait()
        await self._drain()
        for handle in {self.handle, self.init_handle}:
            os.close(handle)
        self.handle = -1
        if self.group is not None:
            await self.group.remove()

    async def _drain(self) -> None:
        """Read what nobody wanted: only at its end does asyncio close a pipe."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                for stream in (self.process.stdout, self.process.stderr):
                    while stream is not None and await stream.read(CHUNK):
                        pass

    async def _chunks(self) -> AsyncIterator[bytes]:
        assert self.process.stdout is not None
        while chunk := await self.process.stdout.read(CHUNK):
            self.read_bytes += len(chunk)
            room = self.request.limits.output_bytes - self.read_bytes
            if room < 0:
                self.truncated = True
                self._stop(Stop.OUTPUT)
                yield chunk[:room]
                return
            yield chunk

    async def _collect_errors(self) -> None:
        assert self.process.stderr is not None
        while chunk := await self.process.stderr.read(CHUNK):
            self._errors += chunk
            if len(self._errors) > self.request.limits.errors_bytes:
                del self._errors[self.request.limits.errors_bytes :]
                self.truncated = True
                self._stop(Stop.OUTPUT)
                return

    async def _deadline(self) -> None:
        await asyncio.sleep(self.request.limits.wall_s)
        self._stop(Stop.WALL_TIME)

    async def _watch(self) -> None:
        """Memory and processes of the whole sandbox. The kernel's own limits count a process at a time, and do not
        bind root; a control group, which binds everybody, needs rights that a container rarely has."""
        limits = self.request.limits
        await asyncio.sleep(FIRST_WATCH_S)
        while True:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found = self.look()
                resident = sum(each.resident_bytes for each in found)
                self.peak_bytes = max(self.peak_bytes, resident)
                if sum(each.threads for each in found) > limits.processes + 1:
                    self._stop(Stop.PROCESSES)
                elif resident > limits.memory_bytes:
                    self._stop(Stop.MEMORY)
            await asyncio.sleep(WATCH_EVERY_S)

    def look(self) -> list[usage.Process]:
        """Its processes, seen from outside; none while it is still being set up."""
        if self.isolation.kind == "bubblewrap" and self.isolation.proc:
            return usage.inside(self.init)
        return usage.descendants(self.init)

    def _stop(self, why: Stop) -> None:
        self.stopped = self.stopped or why
        self._stop_tree()

    def _stop_tree(self) -> None:
        """Kill everything. bwrap takes its process 1 with it, and the kernel the rest of that PID namespace;
        without one the tree is killed from the leaves' side while the supervisor still adopts orphans."""
        if self.process.returncode is not None or self.handle < 0:
            return
        if self.isolation.kind == "process":
            # first of all it must not start the program any more, if it has not yet
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGSTOP)
            self._kill_descendants()
        # bwrap's process 1 too: until bwrap lets it begin it does not die with it.
        # not Process.kill(): that polls, and so takes the exit status away from asyncio's own watcher
        for handle in (self.init_handle, self.handle):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)

    def _kill_descendants(self) -> None:
        """By process group, which no fork can outrun; the dead ones that are left have no memory any more."""
        for _ in range(KILL_ROUNDS):
            below = [each for each in usage.descendants(self.init)[1:] if each.resident_bytes]
            for group in {each.group for each in below}:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            if not below:
                return

    async def _last_words(self) -> tuple[int | None, int, int, dict[str, bytes]]:
        """What the supervisor answers once the program has ended, and then the end of all that it left behind;
        (None, ...) if it was killed before it could."""
        files: dict[str, bytes] = {}
        reader = self.control[0]
        try:
            words = (await reader.readline()).split()
            if len(words) != 5 or words[0] != b"exit":
                return None, 0, 0, files
            async with asyncio.timeout(LAST_WORDS_S):
                status, cpu_ms, peak_kib, count = (int(word) for word in words[1:])
                for _ in range(min(count, len(self.request.outputs))):
                    size, name = (await reader.readline()).rstrip(b"\n").split(b" ", 1)
                    content = await reader.readexactly(min(int(size), self.request.limits.file_bytes))
                    if name.decode() in self.request.outputs:
                        files[name.decode()] = content
        except (TimeoutError, ConnectionError, ValueError, asyncio.IncompleteReadError):
            return None, 0, 0, files
        finally:
            self._stop_tree()
        return status & 0xFFFF, cpu_ms, peak_kib, files
