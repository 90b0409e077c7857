"""Everything that a stack leaves behind, to be searched for what must not be in it. Each part has a name."""

from __future__ import annotations

import io
import sqlite3
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.runtime.bus import Bus

Traces = Iterator[tuple[str, bytes]]
_SAMPLED_EVERY_S = 0.05


def files_in(folder: Path) -> Traces:
    """All files below ``folder``, and what is inside of those that are packed."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            yield str(path.relative_to(folder)), content
            yield from _unpacked(str(path.relative_to(folder)), content)


def _unpacked(name: str, content: bytes) -> Traces:
    if name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            yield from ((f"{name}/{member}", packed.read(member)) for member in packed.namelist())
    elif name.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                if (file := tar.extractfile(member)) is not None:
                    yield f"{name}/{member.name}", file.read()


def rows_in(database: Path) -> Traces:
    """All rows of all tables of an SQLite file: in the file itself a value may lie in pieces."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield table, b"\0".join(part if isinstance(part, bytes) else str(part).encode() for part in row)


async def messages_in(bus: Bus) -> list[tuple[str, bytes]]:
    """All messages of all streams, their headers too."""
    streams = [info.config.name for info in await bus.js.streams_info()]
    return [
        (f"{stream} {message.subject}", f"{message.headers}".encode() + message.data)
        for stream in streams
        if stream is not None
        for message in await bus.reader.since(stream, ">")
    ]


class Environments:
    """Looks into the environments of all processes below ``root``, for as long as it is open (Linux).

    What a process was started with stays readable in ``/proc``, whatever it does to its environment later. ``seen``
    has them by the process's name.
    """

    def __init__(self, root: int) -> None:
        self.seen: dict[str, set[bytes]] = {}
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_SAMPLED_EVERY_S):
            for process in _below(self._root):
                try:
                    name = (process / "comm").read_text().strip()
                    self.seen.setdefault(name, set()).add((process / "environ").read_bytes())
                except OSError:
                    continue  # it has ended, or is ending


def _below(root: int) -> Iterator[Path]:
    parents = dict(_parents())
    for pid in parents:
        above = pid
        while above not in (0, root):
            above = parents.get(above, 0)
        if above == root and pid != root:
            yield Path(f"/proc/{pid}")


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent); proc_pid_stat(5): the name is in brackets and may hold anything."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        yield int(folder.name), int(stat.rpartition(")")[2].split()[1])
