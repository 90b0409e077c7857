"""The difference of two source trees as a unified diff. Pure."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MOST_LINES = 20_000
"""Of one file: `difflib` takes time that grows faster than the file."""


@dataclass(frozen=True)
class FileDiff:
    """``text`` is what patch(1) reads; ``note`` stands for it where there are no lines to show."""

    path: str
    status: str
    text: str = ""
    note: str = ""

    @property
    def added(self) -> int:
        return sum(line.startswith("+") for line in self._body)

    @property
    def removed(self) -> int:
        return sum(line.startswith("-") for line in self._body)

    @property
    def _body(self) -> list[str]:
        return self.text.split("\n")[2:]


def tree_diff(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[FileDiff]:
    """The files that are not the same in both, in the order of their paths."""
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old != new:
            yield _file_diff(path, old, new)


def _file_diff(path: str, old: bytes | None, new: bytes | None) -> FileDiff:
    status = "added" if old is None else "deleted" if new is None else "changed"
    try:
        one, two = _lines(old), _lines(new)
    except UnicodeDecodeError:
        return FileDiff(path, status, note="binary")
    if max(len(one), len(two)) > MOST_LINES:
        return FileDiff(path, status, note=f"more than {MOST_LINES:,} lines")
    from_, to = "/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}"
    return FileDiff(path, status, "".join(map(_ended, difflib.unified_diff(one, two, from_, to))))


def _lines(content: bytes | None) -> list[str]:
    """With their ends. Only a line feed ends a line, as for patch(1)."""
    text = (content or b"").decode()
    if "\0" in text:
        raise UnicodeDecodeError("utf-8", b"\0", 0, 1, "a text holds no NUL")
    return list(io.StringIO(text, newline="\n"))


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
