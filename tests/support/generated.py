"""Generated connectors, laid out once per test session and run by the pinned toolchain's interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contracts.blueprint import ApiBlueprint
from infra.runtime.toolchain import prepare
from services.generator.compiler import compile_connector
from tests.support.connector_process import Connector

TOKEN = "s3cr3t-t0ken-of-the-user"


def connector(known: ApiBlueprint, folder: Path) -> Connector:
    return Connector(compile_connector(known, {}, frozenset()), folder, prepare().python)


def config(url: str, **more: Any) -> dict[str, Any]:
    """For `tests.support.blueprints.blueprint` as it is by default: one bearer token."""
    return {"credentials": {"auth_type": "token", "access_token": TOKEN}, "base_url": url, **more}
