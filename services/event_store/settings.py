"""What the event store reads from its environment (``CONNECTORS_EVENT_STORE_...``)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """``url``: ``sqlite:////path/to/file`` or ``postgresql://user:password@host/name``; better from a file."""

    model_config = SettingsConfigDict(env_prefix="CONNECTORS_EVENT_STORE_", extra="ignore", frozen=True)

    url: SecretStr | None = Field(default=None, description="default: SQLite in the data folder")
    url_file: Path | None = Field(default=None, description="a file that holds the URL")
    min_seq_timeout_s: float = Field(default=3, gt=0, le=60, description="how long a question waits for the copy")
    artifact_patience_s: float = Field(
        default=5, ge=0, le=600, description="how long the copy waits for an artifact before it is noted as missing"
    )
    missing_retry_s: float = Field(default=30, gt=0, description="between two looks for missing artifacts")

    def database_url(self, data_dir: Path) -> str:
        """
        Raises:
            OSError: the file cannot be read.
        """
        if self.url_file is not None:
            return self.url_file.read_text().strip()
        if self.url is not None:
            return self.url.get_secret_value()
        return f"sqlite:///{(data_dir / 'event_store' / 'events.db').absolute()}"
