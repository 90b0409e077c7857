"""What the router reads from its environment (``CONNECTORS_ROUTER_...``)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _installed_version() -> str:
    try:
        return version("agentic-connectors")
    except PackageNotFoundError:
        return "source"


class Settings(BaseSettings):
    """``code_version`` is written into every decision."""

    model_config = SettingsConfigDict(env_prefix="CONNECTORS_ROUTER_", extra="ignore", frozen=True)

    slots: int = Field(default=8, ge=1, le=64, description="facts that are looked at at a time")
    sweep_width: int = Field(default=16, ge=1, le=256, description="open pipelines that a start looks at at a time")
    code_version: str = Field(default_factory=_installed_version)
