"""What the test reviewer reads from its environment."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """``CONNECTORS_TEST_REVIEWER_...``: nothing so far. Its rules are code: a verdict depends on evidence alone."""

    model_config = SettingsConfigDict(env_prefix="CONNECTORS_TEST_REVIEWER_", extra="ignore", frozen=True)
