"""Searches files for a regular expression. Argument: a file of JSON, ``{"pattern", "path", "glob", "most_bytes"}``.

Prints ``path:line:text`` per line that matches, sorted by path, and ends with how much was left out.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import sys

MAX_LINE = 500
MAX_FILE_BYTES = 8 * 1024 * 1024


def files(root: str) -> list[str]:
    if os.path.isfile(root):
        return [root]
    found = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        found += [os.path.join(folder, name) for name in names]
    return sorted(os.path.normpath(path) for path in found if os.path.isfile(path) and not os.path.islink(path))


def matches(wanted: dict[str, str]) -> list[str]:
    pattern = re.compile(wanted["pattern"])
    lines = []
    for path in files(wanted["path"]):
        if wanted["glob"] and not fnmatch.fnmatch(os.path.basename(path), wanted["glob"]):
            continue
        if os.path.getsize(path) > MAX_FILE_BYTES:
            lines.append(f"{path}: too large to search")
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            lines += [
                f"{path}:{number}:{line.rstrip()[:MAX_LINE]}"
                for number, line in enumerate(file, 1)
                if pattern.search(line)
            ]
    return lines


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        wanted = json.load(file)
    try:
        lines = matches(wanted)
    except re.error as error:
        print(f"not a regular expression of Python's re module: {error}")
        return 2
    room = int(wanted["most_bytes"])
    for index, line in enumerate(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            print(f"... and {len(lines) - index} more lines: search for something narrower")
            break
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
