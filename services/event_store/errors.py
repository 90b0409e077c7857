"""Why the copy cannot go on. Each is shown in readiness; none is ever skipped over."""

from __future__ import annotations

from contracts.errors import Permanent
from contracts.subjects import EVENTS_STREAM


class Gap(Permanent):
    """The stream lacks sequences that the copy needs."""

    def __init__(self, expected: int, got: int, stream: str = EVENTS_STREAM) -> None:
        super().__init__(
            f"the log has a gap: the copy needs sequence {expected} of {stream}, the stream's next one is {got}; "
            "restore the stream or start with the database that belongs to it",
            where=f"sequence {expected}",
        )
        self.expected, self.got = expected, got


class Diverged(Permanent):
    """Stream and copy hold different messages at one sequence: they are not of the same log."""

    def __init__(self, sequence: int, copy: str, stream: str, name: str = EVENTS_STREAM) -> None:
        super().__init__(
            f"the log and the copy differ at sequence {sequence} of {name}: the copy has {copy}, the stream "
            f"{stream}; one of them belongs to another installation. Nothing was written",
            where=f"sequence {sequence}",
        )
        self.sequence = sequence
