"""Runs code that nobody vouches for: no network but the endpoints given, no files but the tree, bounded everything.

    report = await run(tree, ("{python}", "-m", "source_x", "check", "--config", "{input}/config.json"),
                       python=toolchain.python, files={"config.json": b"..."}, endpoints={8080: socket_path})

`start` is the interactive form: lines as they come, signals at will.
"""

from infra.runtime.sandbox.launch import free_port, run, start
from infra.runtime.sandbox.models import Limits, Report, Stop
from infra.runtime.sandbox.probe import probe
from infra.runtime.sandbox.session import Session

__all__ = ["Limits", "Report", "Session", "Stop", "free_port", "probe", "run", "start"]
