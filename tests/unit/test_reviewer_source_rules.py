from __future__ import annotations

import pytest

from contracts.reports import Finding, Severity
from services.reviewer.source_rules import source_findings


def review(text: str, *, tests: bool = False, public: frozenset[str] = frozenset()) -> list[Finding]:
    return list(
        source_findings("src/source_x/a.py", text.encode(), package="source_x", tests=tests, public_texts=public)
    )


CRITICAL = (
    "eval('1')",
    "run = exec",
    "import subprocess",
    "from subprocess import run",
    "import os as o\no.system('ls')",
    "from os import system as s\ns('ls')",
    "import os\nos.execv('/bin/sh', [])",
    "import builtins",
    "__import__('os')",
    "import importlib\nimportlib.import_module('os')",
    "import pickle",
    "import ctypes",
    "import socket",
    "import asyncio\nasyncio.open_connection('example.com', 80)",
    "from asyncio import open_connection",
    "import asyncio as a\na.create_subprocess_exec('ls')",
    "from asyncio.subprocess import create_subprocess_shell",
    "import asyncio.streams",
    "from http import client",
    "import http.client",
    "import urllib.request",
    "from urllib import request",
    "import multiprocessing.pool",
    "print(config)",
    "print(f'{self.config}')",
    "import logging\nlogging.info('with %s', config.credentials)",
    "logger.debug('x: ' + str(api_key))",
    "print('a', config.model_dump())",
    "import sys\nsys.stderr.write(json.dumps(config))",
    "print('{}'.format(password))",
    "def f(:\n",
    "x = 1\0",
)

HIGH = (
    "import requests",
    "import numpy.linalg",
    "import os\nos.environ['HOME']",
    "from os import environ\nenviron.get('HOME')",
    "from os import getenv as g\ng('HOME')",
    "().__class__.__base__.__subclasses__()",
    "__builtins__['ev' + 'al']",
    "import asyncio\nasyncio.get_running_loop().create_connection(object, 'example.com', 80)",
    "import os\ngetattr(os, 'sys' + 'tem')('ls')",
    "compile('1', 'a', 'eval')",
    "import urllib3\nurllib3.PoolManager(cert_reqs='CERT_NONE')",
    "import ssl\nssl.CERT_NONE",
    "context.check_hostname = False",
    "# mypy: ignore-errors\n",
    "import sys\nsys.modules['json'] = None",
)

CLEAN = (
    "import urllib3\nfrom pydantic import BaseModel\nfrom msgspec import Raw",
    "from source_x.config import Config\nfrom . import auth",
    "from __future__ import annotations\nimport json, re, time, threading\nfrom urllib.parse import quote",
    "import importlib.metadata\nfrom importlib import resources",
    "from http import HTTPStatus",
    "import re\nre.compile('a')",
    "import asyncio\nasyncio.run(main())\nfrom asyncio import Future, get_running_loop",
    "import os\nos.write(1, b'{}')",
    "print(config.start_date, len(config), config.base_url)",
    "print('config, password and api_key are needed')",
    "output.send({'type': 'CONTROL', 'config': config})",
    "logger.info('page %d of %s', page, stream.name)",
    "getattr(stream, name)",
    "open(path).read()",
    "PATH = '/users/{id}'\nOTHER = '/v1/home'\nRULE = r'^/etc'",
    "CERT = 'CERT_NONE is not allowed'",
    "token_url = 'https://api.example.com/oauth/token'",
)


@pytest.mark.parametrize("text", CRITICAL)
def test_code_that_runs_code_opens_a_way_out_or_tells_secrets_is_critical(text: str) -> None:
    assert Severity.CRITICAL in {finding.severity for finding in review(text)}


@pytest.mark.parametrize("text", HIGH)
def test_code_that_reaches_around_its_config_or_dependencies_is_high(text: str) -> None:
    assert {finding.severity for finding in review(text)} == {Severity.HIGH}


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_code_has_no_findings(text: str) -> None:
    assert review(text) == []


@pytest.mark.parametrize("text", ["import subprocess, socket, http.server", "import pytest\nimport os\nos.environ"])
def test_tests_may_start_processes_and_servers(text: str) -> None:
    assert review(text, tests=True) == []


@pytest.mark.parametrize("text", ["import pickle", "import ctypes", "eval('1')", "import requests"])
def test_tests_may_not_do_everything(text: str) -> None:
    assert review(text, tests=True)


def test_a_machine_path_is_found_unless_the_api_has_it() -> None:
    text = "FILE = '/home/me/data.json'"
    assert [finding.rule for finding in review(text)] == ["code absolute-path"]
    assert review(text, public=frozenset({"/home/me/data.json"})) == []


def test_a_finding_names_file_and_line() -> None:
    [found] = review("x = 1\n\nimport pickle\n")
    assert (found.file, found.line) == ("src/source_x/a.py", 3)


def test_writing_a_file_is_found() -> None:
    assert [finding.rule for finding in review("open('a', mode='w')")] == ["code write"]


def test_a_hidden_type_error_is_told() -> None:
    assert [finding.severity for finding in review("x = 1  # type: ignore\n")] == [Severity.LOW]


@pytest.mark.parametrize(
    "text", ["(" * 5_000, "-" * 20_000 + "1", "x = " + "[" * 150 + "]" * 150, "a." * 9_000 + "b"]
)
def test_code_nested_without_end_is_judged_not_crashed_on(text: str) -> None:
    assert {finding.severity for finding in review(text)} <= {Severity.CRITICAL, Severity.HIGH}
