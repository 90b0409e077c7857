"""What the generator reads from its environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.runtime.confinement import ConfinementSettings

MIB = 1024 * 1024


class Settings(ConfinementSettings):
    """``CONNECTORS_GENERATOR_...``"""

    model_config = SettingsConfigDict(
        env_prefix="CONNECTORS_GENERATOR_", extra="ignore", frozen=True, populate_by_name=True
    )

    compile_timeout_s: float = Field(default=60, gt=0, description="for one blueprint")
    compile_memory_bytes: int = Field(default=2048 * MIB, gt=0, description="for one blueprint")
