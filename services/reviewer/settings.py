"""What the reviewer reads from its environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.runtime.confinement import ConfinementSettings

MIB = 1024 * 1024


class Settings(ConfinementSettings):
    """``CONNECTORS_REVIEWER_...``"""

    model_config = SettingsConfigDict(
        env_prefix="CONNECTORS_REVIEWER_", extra="ignore", frozen=True, populate_by_name=True
    )

    min_score: int = Field(default=70, ge=0, le=100, description="approve from this score on")
    tool_timeout_s: float = Field(default=120, gt=0, description="for each of ruff, mypy and our own checks")
    tool_memory_bytes: int = Field(default=2048 * MIB, gt=0, description="for each of them")
