"""Settings of the research service: environment variables with the prefix ``CONNECTORS_RESEARCH_``, and
``CONNECTORS_ALLOW_LOOPBACK``, which the gateway shares."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """``allow_loopback`` lets documents be read from this machine: for the embedded stack, not for a deployment."""

    model_config = SettingsConfigDict(env_prefix="CONNECTORS_RESEARCH_", populate_by_name=True)

    allow_loopback: bool = Field(default=False, validation_alias="CONNECTORS_ALLOW_LOOPBACK")
    fetch_timeout_s: float = Field(default=30.0, gt=0)
    max_document_bytes: int = Field(default=50 * 1024 * 1024, gt=0)
    max_external_documents: int = Field(default=50, ge=0)
    max_external_rounds: int = Field(default=4, ge=0, description="external documents that name others in turn")
    external_timeout_s: float = Field(default=30.0, gt=0, description="for all external documents together")
    study_timeout_s: float = Field(default=120.0, gt=0)
    study_memory_bytes: int = Field(default=3 * 1024 * 1024 * 1024, gt=0)
