"""``python -m tests.benchmarks.compile_once DOCUMENT FOLDER``: a connector's code from a document without a bus."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.compiled import generated


def main(document: Path, folder: Path) -> None:
    for path, code in generated(document.read_bytes(), document.name, "benchmark").items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
