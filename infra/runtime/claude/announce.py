"""Which models a service can ask: all that is loaded where there is no key."""

from __future__ import annotations

import os

from contracts.services import Service

KEY_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE")


def announced_models(service: Service) -> tuple[str, ...]:
    """For `infra.runtime.agent.Agent.models`: nothing without a key.

    Raises:
        Permanent: the key's file cannot be read.
    """
    if not any(os.environ.get(name) for name in KEY_VARIABLES):
        return ()
    from infra.runtime.claude.settings import ClaudeSettings

    return ClaudeSettings().models(service)
