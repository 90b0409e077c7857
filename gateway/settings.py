"""What the gateway reads from its environment (``CONNECTORS_GATEWAY_...``)."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Settings(BaseSettings):
    """``allowed_hosts``: names, besides ``localhost`` and IP addresses, that a request's ``Host`` may have. So no
    foreign web page reaches the gateway under a name that was made to point here (DNS rebinding)."""

    model_config = SettingsConfigDict(
        env_prefix="CONNECTORS_GATEWAY_", extra="ignore", frozen=True, validate_by_name=True, validate_by_alias=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8002, ge=0, le=65535)
    token: SecretStr | None = Field(default=None, description="asked for as `Authorization: Bearer`; default: none")
    allowed_hosts: tuple[str, ...] = Field(default=(), description="a JSON list")
    max_document_bytes: int = Field(default=50 * MIB, gt=0, description="of an uploaded document")
    max_import_bytes: int = Field(default=512 * MIB, gt=0, description="of an exported pipeline that is taken in")
    max_json_bytes: int = Field(default=16 * MIB, gt=0, description="of a JSON body, inline document included")
    heartbeat_s: float = Field(default=15, gt=0, description="a comment on quiet live streams")
    slow_client_s: float = Field(
        default=30, gt=0, description="a live client that takes nothing for so long is left"
    )
    store_timeout_s: float = Field(default=5, gt=0, description="one question to the event store")
    capability_timeout_s: float = Field(default=0.3, gt=0, description="how long agents may take to name a model")
    capability_cache_s: float = Field(default=5, ge=0)
    submit_timeout_s: float = Field(default=15, gt=0, description="how long a lost acknowledgement is retried")
    allow_loopback: bool = Field(default=False, validation_alias="CONNECTORS_ALLOW_LOOPBACK")
    otlp_endpoint: HttpUrl | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="where spans are sent to (OTLP over HTTP), without `/v1/traces`; default: nowhere",
    )
    otlp_headers: SecretStr = Field(default=SecretStr(""), validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    output_dir: Path = Field(default=Path("output"), validation_alias="CONNECTORS_OUTPUT_DIR")

    @field_validator("otlp_endpoint", mode="before")
    @classmethod
    def _empty_is_unset(cls, given: object) -> object:
        """https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#parsing-empty-value"""
        return given or None

    def accepts_host(self, host: str) -> bool:
        """Whether ``host`` (without port) may be in a request's ``Host`` header."""
        name = host.strip("[]").lower()
        if name == "localhost" or name in self.allowed_hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
