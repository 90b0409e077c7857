"""What the publisher reads from its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.runtime.confinement import ConfinementSettings

MIB = 1024 * 1024


class Settings(ConfinementSettings):
    """``CONNECTORS_PUBLISHER_...``; the output folder is ``CONNECTORS_OUTPUT_DIR``, shared with the gateway.

    Replicas of the publisher must share that folder: a version is reserved in it.
    """

    model_config = SettingsConfigDict(
        env_prefix="CONNECTORS_PUBLISHER_", extra="ignore", frozen=True, populate_by_name=True
    )

    output_dir: Path = Field(default=Path("output"), validation_alias="CONNECTORS_OUTPUT_DIR")
    build_timeout_s: float = Field(default=120, gt=0, description="for sdist and wheel together")
    trial_timeout_s: float = Field(default=60, gt=0, description="for the installed connector's answer to `spec`")
    memory_bytes: int = Field(default=1024 * MIB, gt=0, description="for each of the two")
