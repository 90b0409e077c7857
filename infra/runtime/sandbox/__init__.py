"""Runs code that nobody vouches for: no network but the endpoints given, no files but the tree, bounded everything.

    argv = ("{python}", "-m", "source_x", "check", "--config", "{input}/config.json")
    report = await run(Request(tree, argv, python=toolchain.python, files={"config.json": b"..."},
                               endpoints={8080: socket_path}))

`start` is the interactive form: lines as they come, signals at will.
"""

from infra.runtime.sandbox.launch import free_port, run, start
from infra.runtime.sandbox.models import Limits, Report, Request, Stop
from infra.runtime.sandbox.probe import probe
from infra.runtime.sandbox.session import Session

__all__ = ["Limits", "Report", "Request", "Session", "Stop", "free_port", "probe", "run", "start"]
