"""The first process inside a sandbox. Standard library only, one thread; it is started with ``-I -S``.

Over the socket on its stdin it gets the job (its size on a line, the marshalled job, then the input files' bytes)
and later signal numbers, one a line, for the program; the end of that stream means that nobody waits any more. It
relays loopback ports to Unix sockets, starts the program, reaps whatever it leaves behind, and answers
``exit <wait status> <cpu ms> <peak KiB> <files>`` and the outputs asked for. What it sends is as little to be
believed as the program itself.
"""

# ruff: noqa: SIM105 - contextlib takes a millisecond to import, and every run waits for it

from __future__ import annotations

import marshal
import os
import resource
import select
import signal
import socket
import struct

CHUNK = 256 * 1024
CONNECTIONS = 256
CONNECT_TIMEOUT_S = 5.0
READ, WRITE, GONE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP | select.EPOLLERR
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Job = dict[str, Any]
    Ended = tuple[int, resource.struct_rusage]


class End:
    """One socket of a relayed connection, and what is waiting to be written to it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.pending = bytearray()
        self.peer = self
        self.eof = self.shut = False

    def interest(self) -> int:
        mask = READ if not self.eof and len(self.peer.pending) < CHUNK else 0
        return mask | (WRITE if self.pending else 0)


class Relay:
    """Copies bytes between loopback connections and Unix sockets; half-closes and resets pass through."""

    def __init__(self, poller: select.epoll) -> None:
        self.poller = poller
        self.listeners: dict[int, tuple[socket.socket, str]] = {}
        self.ends: dict[int, End] = {}

    def listen(self, port: int, path: str) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(CONNECTIONS)
        listener.setblocking(False)
        self.listeners[listener.fileno()] = listener, path
        self.poller.register(listener.fileno(), READ)

    def handle(self, fd: int, mask: int) -> None:
        if fd in self.listeners:
            self.accept(*self.listeners[fd])
        elif fd in self.ends:
            end = self.ends[fd]
            try:
                self.move(end, mask)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self.close(end, reset=True)

    def accept(self, listener: socket.socket, path: str) -> None:
        try:
            inner, _ = listener.accept()
        except OSError:
            return
        outer = socket.socket(socket.AF_UNIX)
        outer.settimeout(CONNECT_TIMEOUT_S)
        try:
            if len(self.ends) >= 2 * CONNECTIONS:
                raise ConnectionRefusedError
            outer.connect(path)
        except OSError:
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            inner.close()
            outer.close()
            return
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        a, b = End(inner), End(outer)
        a.peer, b.peer = b, a
        for end in (a, b):
            self.ends[end.sock.fileno()] = end
            self.poller.register(end.sock.fileno(), READ)

    def move(self, end: End, mask: int) -> None:
        if mask & (READ | GONE) and not end.eof:
            data = end.sock.recv(CHUNK)
            end.peer.pending += data
            end.eof = not data
        for each in (end, end.peer):
            if each.pending:
                try:
                    del each.pending[: each.sock.send(each.pending)]
                except (BlockingIOError, InterruptedError):
                    pass
            if each.peer.eof and not each.pending and not each.shut:
                each.shut = True
                each.sock.shutdown(socket.SHUT_WR)
        if end.shut and end.peer.shut:
            self.close(end)
            return
        for each in (end, end.peer):
            self.poller.modify(each.sock.fileno(), each.interest())

    def close(self, end: End, reset: bool = False) -> None:
        for each in (end, end.peer):
            fd = each.sock.fileno()
            if self.ends.pop(fd, None) is None:
                continue
            self.poller.unregister(fd)
            if reset and each.sock.family == socket.AF_INET:
                each.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            each.sock.close()


def exactly(control: socket.socket, size: int) -> bytes:
    """No buffer: what follows the job are signals, which must stay in the socket."""
    parts = []
    while size:
        part = control.recv(min(size, CHUNK))
        if not part:
            raise EOFError("the job is incomplete")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive(control: socket.socket) -> Job:
    """The job's header and its input files."""
    digits = b""
    while not digits.endswith(b"\n"):
        digits += exactly(control, 1)
    job: Job = marshal.loads(exactly(control, int(digits)))  # noqa: S302 - ours; json takes 10 ms to import
    for name, size in job["files"]:
        with open(os.path.join(job["input"], name), "wb") as file:
            file.write(exactly(control, size))
    return job


def copy_tree(source: str, target: str) -> None:
    for folder, folders, names in os.walk(source):
        inside = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(inside, exist_ok=True)
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as old, open(os.path.join(inside, name), "wb") as new:
                new.write(old.read())
            os.chmod(os.path.join(inside, name), os.stat(path).st_mode & 0o777 | 0o600)


def prctl(option: int, value: int) -> None:
    import _ctypes  # what ctypes stands on: 0.5 ms to import instead of 3

    function = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    _ctypes.call_function(function, (option, value, 0, 0, 0))


def spawn(job: Job) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        if job["subreaper"]:
            # without namespaces: whoever kills the supervisor may not have seen this child yet
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(127)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.setsid()
        for name in ("SIGPIPE", "SIGXFSZ", "SIGCHLD"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.chdir(job["work"])
        for name, value in job["rlimits"].items():
            resource.setrlimit(getattr(resource, name), (value, value))
        os.execve(job["argv"][0], job["argv"], job["env"])  # noqa: S606
    except (OSError, ValueError) as error:
        os.write(2, f"sandbox: cannot start {job['argv'][0]}: {error}\n".encode())
    os._exit(127)


def reap(child: int) -> Ended | None:
    """(wait status, resource usage) of the program once it has ended; whatever else ended is only collected."""
    found = None
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status, usage


def obey(control: socket.socket, child: int) -> bool:
    """Pass signals on; False when nobody is there any more."""
    try:
        data = control.recv(4096)
    except (BlockingIOError, InterruptedError):
        return True
    for number in data.split():
        try:
            os.kill(child, int(number))
        except ProcessLookupError:
            pass
    return bool(data)


def serve(job: Job, control: socket.socket) -> Ended | None:
    """Relay and obey until the program has ended; None if nobody waits."""
    poller = select.epoll()
    relay = Relay(poller)
    for port, path in job["endpoints"].items():
        relay.listen(int(port), path)
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = spawn(job)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    control.setblocking(False)
    poller.register(control.fileno(), READ)
    poller.register(wake, READ)
    while True:
        for fd, mask in poller.poll():
            if fd == control.fileno():
                if not obey(control, child):
                    return None
            elif fd == wake:
                os.read(wake, 4096)
            else:
                relay.handle(fd, mask)
        ended = reap(child)
        if ended is not None:
            return ended


def outputs(job: Job) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the outputs that are there, no larger than allowed, and really inside the work folder."""
    root = os.path.realpath(job["work"])
    for name in job["outputs"]:
        path = os.path.realpath(os.path.join(root, name))
        if not path.startswith(root + "/") or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            content = file.read(job["output_bytes"] + 1)
        if len(content) <= job["output_bytes"]:
            yield name, content


def main() -> None:
    os.closerange(3, 256)
    control = socket.socket(fileno=0)
    control.set_inheritable(False)
    prctl(PR_SET_DUMPABLE, 0)  # or the program, which is of our user, could write to our memory in /proc
    job = receive(control)
    if job["subreaper"]:
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans stay findable
    if job["copy_from"]:
        copy_tree(job["copy_from"], job["work"])
    ended = serve(job, control)
    if ended is None:
        return
    if os.getpid() == 1:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
    status, usage = ended
    found = list(outputs(job))
    control.setblocking(True)
    cpu_ms = int((usage.ru_utime + usage.ru_stime) * 1000)
    control.sendall(b"exit %d %d %d %d\n" % (status, cpu_ms, usage.ru_maxrss, len(found)))
    for name, content in found:
        control.sendall(b"%d %s\n" % (len(content), name.encode()))
        control.sendall(content)
    control.recv(1)  # the end of the stream: whoever started us has all it wants


if __name__ == "__main__":
    main()
