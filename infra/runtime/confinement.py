"""Where code that a model wrote may run: the one rule of all services, and its one setting."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from contracts.errors import Permanent
from contracts.reports import Isolation
from infra.runtime import sandbox

OPT_IN = "CONNECTORS_ALLOW_UNCONFINED_CODE"


class ConfinementSettings(BaseSettings):
    """What the settings of every service have that touches what a model wrote."""

    allow_unconfined_code: bool = Field(
        default=False, validation_alias=OPT_IN, description="run what a model wrote where it cannot be confined"
    )


def may_run(isolation: Isolation, *, allowed: bool) -> bool:
    """Code of a model runs where it is confined, or where the operator wants it all the same (``allowed``)."""
    return isolation.kind == "bubblewrap" or allowed


async def check_confined(settings: ConfinementSettings) -> None:
    """Before anything works on code of a model.

    Raises:
        Permanent: it may not run here.
    """
    isolation = await sandbox.probe()
    if not may_run(isolation, allowed=settings.allow_unconfined_code):
        raise Permanent(
            "a model wrote some of this connector's code or tests, and such code is not run without isolation"
            f" ({isolation.note}): install bubblewrap (`apt install bubblewrap`), or set {OPT_IN}=true to run it"
            " all the same"
        )
