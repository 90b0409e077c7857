"""What mypy knows of the pinned packages and the standard library, worked out once: saves 1.5 s a review.

``python -m services.reviewer.warm_types`` works it out beforehand: an image's cache is read-only when it runs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
import tempfile
from pathlib import Path

from infra.runtime.locks import locked
from infra.runtime.toolchain import Toolchain, prepare
from infra.runtime.toolchain.process import Argument, offline_env, run_tool
from services.reviewer.tools import RULES

_TIMEOUT_S = 300.0

_IMPORTED_BY_CONNECTORS = """\
import abc, argparse, base64, collections, collections.abc, contextlib, dataclasses, datetime, decimal, email.utils
import enum, functools, hashlib, hmac, importlib.metadata, importlib.resources, io, itertools, json, logging, math
import operator, os, pathlib, random, re, signal, string, sys, textwrap, threading, time, traceback, types, typing
import urllib.parse, uuid, zoneinfo
import msgspec, msgspec.json, pydantic, typing_extensions, urllib3, urllib3.exceptions, urllib3.util.retry
"""


def warm_types(toolchain: Toolchain) -> Path:
    """The folder of a mypy cache over the packages that connectors import; made if it is missing. Blocks.

    Raises:
        Transient: mypy did not run.
    """
    rules = (RULES / "mypy.ini").read_bytes()
    facts = (toolchain.root.name, importlib.metadata.version("mypy"), _IMPORTED_BY_CONNECTORS)
    key = hashlib.sha256(rules + "\0".join(facts).encode()).hexdigest()[:16]
    target = toolchain.root.with_name(f"types-{key}")
    if target.is_dir():
        return target
    with locked(target.with_name(f"{target.name}.lock")):
        if not target.is_dir():
            _work_out(toolchain, target)
    return target


def _work_out(toolchain: Toolchain, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as folder:
        source, cache = Path(folder) / "imports.py", Path(folder) / "cache"
        source.write_text(_IMPORTED_BY_CONNECTORS, encoding="utf-8")
        options: list[Argument] = ["--config-file", RULES / "mypy.ini", "--cache-dir", cache]
        command: list[Argument] = [
            sys.executable,
            "-m",
            "mypy",
            *options,
            "--python-executable",
            toolchain.python,
            source,
        ]
        run_tool(command, env=offline_env(), what="reading the types of the pinned packages", timeout_s=_TIMEOUT_S)
        cache.rename(target)


if __name__ == "__main__":
    print(warm_types(prepare()))
