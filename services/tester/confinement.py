"""Where code that a model wrote may run."""

from __future__ import annotations

from contracts.errors import Permanent
from infra.runtime import sandbox
from services.tester.settings import Settings


async def check_confined(settings: Settings) -> None:
    """Code of a model runs where it is confined, or where the operator wants it all the same.

    Raises:
        Permanent: neither is so here.
    """
    if settings.allow_unconfined_code:
        return
    isolation = await sandbox.probe()
    if isolation.kind != "bubblewrap":
        raise Permanent(
            "a model wrote some of this connector's code or tests, and such code is not run without isolation"
            f" ({isolation.note}): install bubblewrap (`apt install bubblewrap`), or set"
            " CONNECTORS_ALLOW_UNCONFINED_CODE=true to run it all the same"
        )
