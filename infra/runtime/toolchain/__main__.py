"""``python -m infra.runtime.toolchain``: prepare the toolchain, saying what happens. ``make setup`` calls it."""

from __future__ import annotations

import sys

from contracts.errors import ConnectorsError
from infra.runtime.toolchain.build import prepare


def main() -> int:
    try:
        toolchain = prepare(lambda line: print(f"toolchain: {line}", file=sys.stderr, flush=True))
    except ConnectorsError as error:
        print(f"toolchain: {error}", file=sys.stderr)
        return 1
    print(toolchain.root)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
