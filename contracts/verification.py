"""Whether the two copies are the same: what is compared, and what differs (`contracts.queries.VerifyQuery`)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from contracts.base import Frozen


class Part(StrEnum):
    """What is compared: the streams message by message, and the artifacts that the copy holds."""

    EVENTS = "EVENTS"
    TURNS = "TURNS"
    DEAD = "DEAD"
    ARTIFACTS = "ARTIFACTS"


class Kind(StrEnum):
    """``missing_in_*``: only the other side has it. ``different``: both have something else at this place.
    ``damaged_in_*``: the content does not have the hash that it is named by."""

    MISSING_IN_COPY = "missing_in_copy"
    MISSING_ON_BUS = "missing_on_bus"
    DIFFERENT = "different"
    DAMAGED_IN_COPY = "damaged_in_copy"
    DAMAGED_ON_BUS = "damaged_on_bus"


class Difference(Frozen):
    """``first`` and ``last`` are sequences of a stream, equal for a single message; an artifact has ``sha256``, and
    ``first`` is that of the message that names it, or 0."""

    part: Part
    kind: Kind
    what: str
    first: int = Field(default=0, ge=0)
    last: int = Field(default=0, ge=0)
    sha256: str | None = None


class VerifyPage(Frozen):
    """``checked`` messages or artifacts were compared; ``next``: go on from there; ``None``: that was all."""

    checked: int
    differences: tuple[Difference, ...] = ()
    next: str | None = None
