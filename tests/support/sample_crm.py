"""The sample CRM in this process, so that a test can change what it holds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from infra.cli.sample_crm.data import collections
from infra.cli.sample_crm.server import app

_START_TIMEOUT_S = 20.0


@contextmanager
def serving_sample_crm() -> Iterator[str]:
    """Yields its base URL. What the test did to `collections` is undone at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app(), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not server.started:
            if time.monotonic() > deadline:
                raise RuntimeError("the sample CRM did not start")
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()
            collections.cache_clear()
