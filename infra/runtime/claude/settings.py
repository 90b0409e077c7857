"""What the Claude engine reads from its environment. Without a key there is no model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from contracts.errors import Permanent
from contracts.services import Service
from infra.runtime.confinement import ConfinementSettings

DEFAULT_MODEL = "claude-opus-5"


class ClaudeSettings(ConfinementSettings):
    """The key, the server, and which model each agent uses.

    The key comes from ``ANTHROPIC_API_KEY`` or, better, from a file (``ANTHROPIC_API_KEY_FILE``). A server of
    one's own (``ANTHROPIC_BASE_URL``) that asks for no key needs one here, any text: so a model is wanted.
    ``CLAUDE_MODEL`` is for all agents, ``CONNECTORS_<SERVICE>_MODEL`` for one.
    """

    model_config = SettingsConfigDict(env_prefix="CONNECTORS_", extra="ignore", frozen=True, populate_by_name=True)

    api_key: SecretStr | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    api_key_file: Path | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY_FILE")
    base_url: str | None = Field(default=None, validation_alias="ANTHROPIC_BASE_URL")
    model: str = Field(default=DEFAULT_MODEL, validation_alias="CLAUDE_MODEL", min_length=1)

    claude_max_tokens: int = Field(
        default=32_000, ge=1024, description="the most that a model may write in one turn"
    )
    claude_silence_s: float = Field(default=300, gt=0, description="silence after which a turn counts as cut off")
    claude_retries: int = Field(
        default=5, ge=0, description="of one turn, by the SDK, before the task fails for now"
    )
    claude_prices: Path | None = Field(
        default=None, description="a file like prices.toml; what it names wins over that"
    )

    @field_validator("api_key", "api_key_file", "base_url", "claude_prices", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object, info: ValidationInfo) -> object:
        """A variable that a compose file passes on empty is no key."""
        return None if value == "" else value

    def key(self) -> str | None:
        """The key, read from its file when one is set; None: there is no model.

        Raises:
            Permanent: the file cannot be read, or is empty.
        """
        if self.api_key_file is None:
            return self.api_key.get_secret_value() if self.api_key else None
        try:
            key = self.api_key_file.read_text().strip()
        except OSError as error:
            raise Permanent(
                f"the file of the Anthropic key cannot be read: {error.strerror}", where=str(self.api_key_file)
            ) from error
        if not key:
            raise Permanent("the file of the Anthropic key is empty", where=str(self.api_key_file))
        return key

    def model_of(self, service: Service, environment: Mapping[str, str] = os.environ) -> str:
        """The model that ``service`` uses."""
        return environment.get(f"CONNECTORS_{service.value.upper()}_MODEL") or self.model

    def models(self, service: Service) -> tuple[str, ...]:
        """What ``service`` announces: its model, or nothing without a key."""
        return (self.model_of(service),) if self.key() is not None else ()
