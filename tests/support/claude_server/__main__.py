"""The server as a command: ``python -m tests.support.claude_server --script FILE --port N``."""

from __future__ import annotations

import argparse
import asyncio
import runpy
from pathlib import Path

from tests.support.claude_server.scripts import Source
from tests.support.claude_server.server import serving


async def serve(source: Source, port: int) -> None:
    async with serving(source, key=None, port=port) as server:
        print(f"export ANTHROPIC_BASE_URL={server.url} ANTHROPIC_API_KEY=any", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.claude_server", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="a Python file that sets SCRIPT")
    parser.add_argument("--port", type=int, default=0, help="0 is a free one")
    given = parser.parse_args()
    found = runpy.run_path(str(given.script))
    if "SCRIPT" not in found:
        parser.error(f"{given.script} sets no SCRIPT; see tests/support/claude_server/scripts.py for what one is")
    try:
        asyncio.run(serve(found["SCRIPT"], given.port))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
