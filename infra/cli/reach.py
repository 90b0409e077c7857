"""The gateway of a stack that runs, for commands that only look: they start none, for it would go on working."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from contracts.errors import Rejected
from infra.cli.client import Gateway
from infra.runtime.stack import StackConfig, read_processes


@contextlib.asynccontextmanager
async def reach(url: str | None, data: Path, *, in_trouble: bool = False) -> AsyncIterator[Gateway]:
    """A client of the gateway at ``url``, else of the stack on the folder ``data``, else of the default port;
    ``in_trouble``: also of one that says that it is not ready.

    Raises:
        Rejected: no gateway answers there.
    """
    config = StackConfig.at(data, data)
    found = url or read_processes(config.state_file)[0] or f"http://{config.host}:{config.port}"
    async with Gateway(found) as gateway:
        if not await gateway.answers(in_trouble=in_trouble):
            raise Rejected("no stack answers there; start one with `connectors up`, or give its --url", where=found)
        yield gateway
