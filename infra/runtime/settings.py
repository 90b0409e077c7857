"""What every process reads from its environment (``CONNECTORS_...``). Units are in the names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
GIB = 1024 * MIB


class BusSettings(BaseSettings):
    """How to reach the bus, how large its streams may grow, and how a consumer behaves.

    A user signs in with a password or a key. The password comes from ``CONNECTORS_NATS_PASSWORD`` or, better, from
    a file (``CONNECTORS_NATS_PASSWORD_FILE``), the key's seed from a file; neither is an argument of a process.
    """

    model_config = SettingsConfigDict(env_prefix="CONNECTORS_", extra="ignore", frozen=True)

    nats_url: str = Field(default="nats://127.0.0.1:4222", description="one or more, separated by commas")
    nats_user: str | None = Field(
        default=None, description="default: the service's own name, if there is a password"
    )
    nats_password: SecretStr | None = None
    nats_password_file: Path | None = None
    nats_nkey_file: Path | None = Field(default=None, description="the seed of a user's key; outweighs a password")
    nats_ca_file: Path | None = Field(
        default=None, description="whose certificate the bus shows; nothing is said to a bus that shows none"
    )
    connect_timeout_s: float = Field(default=2, gt=0)
    request_timeout_s: float = Field(default=5, gt=0, description="one request to the bus")

    data_dir: Path = Path(".connectors")
    replicas: int = Field(default=1, ge=1, le=5, description="copies of each stream: 1, or 3 in a cluster")
    events_max_bytes: int = Field(default=2 * GIB, gt=0)
    turns_max_bytes: int = Field(default=2 * GIB, gt=0)
    timers_max_bytes: int = Field(default=64 * MIB, gt=0)
    dead_max_bytes: int = Field(default=256 * MIB, gt=0)
    artifacts_max_bytes: int = Field(default=8 * GIB, gt=0)
    artifact_max_bytes: int = Field(default=64 * MIB, gt=0, description="the largest single artifact")

    ack_wait_s: float = Field(
        default=15, gt=0, description="silence after which work counts as lost; heartbeats at a third"
    )
    slots: int = Field(default=1, ge=1, le=64, description="tasks that one process works on at a time")
    max_strikes: int = Field(default=3, ge=1, description="lost attempts before a task is given up")
    task_timeout_s: float = Field(default=3600, gt=0, description="the longest that one attempt may run")
    unknown_retry_s: float = Field(
        default=30, gt=0, description="wait before a fact of a newer version is looked at again"
    )
    cached_pipelines: int = Field(default=256, ge=1, description="folded states that one process keeps")

    health_port: int | None = Field(default=None, description="serve /healthz, /readyz and /metrics on this port")
    health_host: str = "127.0.0.1"
    health_socket: Path | None = Field(default=None, description="the same on a unix socket")
    tracing: bool = Field(default=False, description="record spans and send them over the bus")
    log_format: Literal["human", "json"] = "human"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def servers(self) -> list[str]:
        return [url.strip() for url in self.nats_url.split(",") if url.strip()]

    def password(self) -> str | None:
        """The bus password, read from its file when one is set.

        Raises:
            OSError: the file cannot be read.
        """
        if self.nats_password_file is not None:
            return self.nats_password_file.read_text().strip()
        return self.nats_password.get_secret_value() if self.nats_password else None
