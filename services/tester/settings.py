"""What the tester reads from its environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.runtime.confinement import ConfinementSettings


class Settings(ConfinementSettings):
    """``CONNECTORS_TESTER_...``"""

    model_config = SettingsConfigDict(
        env_prefix="CONNECTORS_TESTER_", extra="ignore", frozen=True, populate_by_name=True
    )

    full: bool = Field(default=False, description="judge every stream in depth, also what takes long")
    silence: bool = Field(
        default=False, description="also judge a server that never answers, for as long as the connector waits"
    )
    concurrency: int = Field(default=4, ge=1, le=64, description="connectors that run at a time")
    read_timeout_s: float = Field(default=75, gt=0, description="for one read of the connector")
    kit_timeout_s: float = Field(
        default=480, gt=0, description="for all runs of the conformance kit together; ten times that with FULL"
    )
    tests_timeout_s: float = Field(default=240, gt=0, description="for the package's own tests")
