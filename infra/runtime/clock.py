"""The one place that asks the clock and makes random ids."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime


def now() -> datetime:
    """The time, in UTC, aware."""
    return datetime.now(UTC)  # noqa: TID251


def epoch_s() -> float:
    """Seconds since 1970."""
    return time.time()  # noqa: TID251


def offset_s() -> float:
    """The clock's distance from the one that nobody can set: it changes when somebody sets the clock."""
    return epoch_s() - time.monotonic()


def new_id() -> str:
    """A random UUID as 32 hexadecimal digits."""
    return uuid.uuid4().hex  # noqa: TID251
