"""What a generated connector may import, and which names of the standard library it may not touch. Pure data."""

from __future__ import annotations

import sys

from contracts.reports import Severity

THIRD_PARTY = frozenset(
    {
        *("annotated_types", "cryptography", "jwt", "msgspec", "pydantic", "pydantic_core"),
        *("typing_extensions", "typing_inspection", "urllib3"),
    }
)
"""The modules that the runtime pins bring (see infra/runtime/toolchain)."""

TEST_THIRD_PARTY = frozenset({*THIRD_PARTY, "_pytest", "pytest"})

STANDARD_LIBRARY = sys.stdlib_module_names

_RUNS_CODE = "it can run code or commands"
_NETWORK = "a connector reaches the network through urllib3 alone"

_RUNNERS = (
    *("builtins", "cffi", "code", "codeop", "ctypes", "importlib", "marshal", "multiprocessing", "pickle", "pty"),
    *(
        "runpy",
        "shelve",
        "subprocess",
        "concurrent.futures.process",
        "_posixsubprocess",
        "zipimport",
        "pkgutil",
        "site",
    ),
)
_LOOP_RUNNERS = ("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell")
_LOOP_NETWORKERS = (
    *("asyncio.open_connection", "asyncio.open_unix_connection", "asyncio.start_server"),
    "asyncio.start_unix_server",
)
_NETWORKERS = (
    *("_socket", "ftplib", "http.client", "http.server", "imaplib", "nntplib", "poplib", "smtplib"),
    *("socket", "socketserver", "telnetlib", "urllib.request", "webbrowser", "wsgiref", "xmlrpc"),
)

BANNED_MODULES: dict[str, str] = {
    **dict.fromkeys((*_RUNNERS, *_LOOP_RUNNERS, "asyncio.subprocess"), _RUNS_CODE),
    **dict.fromkeys((*_NETWORKERS, *_LOOP_NETWORKERS), _NETWORK),
    **dict.fromkeys(("asyncio.selector_events", "asyncio.streams", "asyncio.unix_events"), _NETWORK),
}
"""Module (with everything below it), or what is imported from one -> why not. An event loop may wait for threads;
what it could connect to or start is barred."""

ALLOWED_BELOW = frozenset({"importlib.metadata", "importlib.resources"})
"""Exceptions below a banned module."""

BANNED_IN_TESTS = frozenset({"cffi", "ctypes", "marshal", "pickle", "shelve", "pty"})
"""Tests start processes and servers; these they need no more than the code does."""

_RUN = "it runs code or a command"
_ENVIRONMENT = "a connector is configured by its config alone; the environment may hold other people's secrets"

BANNED_NAMES: dict[str, tuple[Severity, str]] = {
    **dict.fromkeys(("eval", "exec", "__import__", "breakpoint"), (Severity.CRITICAL, _RUN)),
    **dict.fromkeys(("os.system", "os.popen", "os.startfile", "os.fork", "os.forkpty"), (Severity.CRITICAL, _RUN)),
    **dict.fromkeys(_LOOP_RUNNERS, (Severity.CRITICAL, _RUN)),
    **dict.fromkeys(_LOOP_NETWORKERS, (Severity.CRITICAL, _NETWORK)),
    **dict.fromkeys(("os.environ", "os.environb", "os.getenv", "os.putenv"), (Severity.HIGH, _ENVIRONMENT)),
    **dict.fromkeys(
        ("sys.modules", "sys.meta_path", "sys.path_hooks", "sys._getframe", "sys.settrace", "sys.setprofile"),
        (Severity.HIGH, "it reaches into the interpreter"),
    ),
    **dict.fromkeys(
        ("ssl.CERT_NONE", "ssl._create_unverified_context", "urllib3.disable_warnings"),
        (Severity.HIGH, "it turns the check of TLS certificates off"),
    ),
}
"""Dotted name, or builtin -> how bad and why."""

BANNED_PREFIXES: dict[str, tuple[Severity, str]] = dict.fromkeys(
    ("os.exec", "os.spawn", "os.posix_spawn"), (Severity.CRITICAL, _RUN)
)

ESCAPES = frozenset(
    {
        *("__builtins__", "__code__", "__closure__", "__globals__", "__subclasses__", "__getattribute__"),
        *("__reduce__", "create_connection", "create_datagram_endpoint", "create_server", "create_unix_connection"),
        *("create_unix_server", "sock_connect", "subprocess_exec", "subprocess_shell"),
    }
)
"""Attributes that serve to get at what the rules above forbid; an event loop has some."""


def why_banned(module: str) -> str | None:
    """The reason why ``module`` may not be imported; None if it may."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in ALLOWED_BELOW:
            return None
        if name in BANNED_MODULES:
            return BANNED_MODULES[name]
    return None
