"""``python -m tests.benchmarks [NAME...] [--json FILE]``: the benchmarks, all or those named.

Figures are printed beside their goals, never asserted.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from tests.benchmarks.report import Report

NAMES = (
    "extraction",
    "spec",
    "memory",
    "latency",
    "compile_time",
    "overhead",
    "large_document",
    "fold",
    "append",
    "past",
    "replay",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each contender (default 3)")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in NAMES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    report = Report(arguments.rounds)
    for name in arguments.names or NAMES:
        importlib.import_module(f"tests.benchmarks.{name}").run(report)
    if arguments.json:
        report.write(arguments.json)


if __name__ == "__main__":
    main()
