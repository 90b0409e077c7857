"""Small HTTP servers that contradict their own OpenAPI documents, each in one way, with the rows that they hold."""

from __future__ import annotations

from tests.support.contrary.model import Contrary, ids
from tests.support.contrary.paging import PAGING
from tests.support.contrary.rows import ROWS
from tests.support.contrary.totals import TOTALS

SERVERS: tuple[Contrary, ...] = (*PAGING, *TOTALS, *ROWS)

__all__ = ["SERVERS", "Contrary", "ids"]
