"""The knobs of one run: how much data there is, who may come in, and what goes wrong. All frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Size:
    """A number of records relative to the endpoint's page size: ``Size("page", +1)`` is one more than a page.

    The page size is the one that the endpoint's first request asked for (after the server's cap), so it is known
    only then; until then it is the endpoint's default.
    """

    unit: Literal["page"] = "page"
    plus: int = 0
    times: int = 1

    def of(self, page_size: int) -> int:
        return max(0, self.times * page_size + self.plus)


Count = int | Size | tuple[int | Size, ...]
"""Records per partition of an endpoint; a tuple is dealt to the partitions in turn (first, second, ..., first)."""


FaultKind = Literal[
    "status",  # answer `status`, with Retry-After if `retry_after` is given
    "delay",  # wait `delay_s`, then answer as usual
    "timeout",  # take the request, never answer (the connection closes when the client gives up or the run ends)
    "cut",  # promise the whole body, send half of it, close
    "reset",  # reset the TCP connection instead of answering
    "bad_json",  # 200 with a body that is no JSON
    "repeat_cursor",  # the next page is announced as this one again (nothing happens where none is announced)
    "endless",  # there is always a next page; past the end it is the last page again
    "empty_page",  # a page without records that announces the page which should have come (opaque cursors only)
]


@dataclass(frozen=True)
class Fault:
    """Something goes wrong on ``endpoint`` (``None``: on any), counted over the requests that match and that were
    let in: from the ``first`` (1 is the first), ``times`` times (``None``: always).

    ``retry_after``: seconds; ``"date"``: an HTTP date (RFC 9110, section 10.2.3); ``"reset"``: the headers
    ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (seconds since 1970) in its place; ``None``: no header.
    Both moments are the next whole second that is at least one second ahead. ``lasts_s``: once it has struck,
    it strikes for so long, however often that is: whoever does not wait meets it again.
    """

    kind: FaultKind
    endpoint: str | None = None
    first: int = 1
    times: int | None = 1
    status: int = 500
    retry_after: int | Literal["date", "reset"] | None = None
    delay_s: float = 0.0
    lasts_s: float | None = None

    def hits(self, endpoint: str, number: int) -> bool:
        """Whether it strikes the ``number``-th matching request (counted from 1)."""
        if self.endpoint not in (None, endpoint) or number < self.first:
            return False
        return self.times is None or number < self.first + self.times


@dataclass(frozen=True)
class Throttle:
    """At most ``requests`` in any window of ``per_s`` seconds, else 429 with ``Retry-After``."""

    requests: int
    per_s: float = 1.0


@dataclass(frozen=True)
class Plan:
    """One run.

    ``records``: how many in each endpoint (per partition if it has parents); ``counts`` overrides by endpoint key.
    A ``single`` endpoint always has one record per partition.
    ``secrets``: every configured credential value; any of them is let in at the right place. Empty: nobody is
    (unless the API is open). ``None``: no check at all.
    ``usual_page_size``: what a page holds at least where neither the document states it nor a client asks.
    ``page_size``: records per page, whatever a client asks for above it (default and maximum).
    ``variables``: path variables whose value the caller chose (a connector's config): that one value is taken, and
    any other is 404. It holds also for a variable that the API's lists would offer values for.
    ``order``: ``descending`` serves the newest first, as many real servers do.
    ``token_ttl_s`` and ``token_uses``: when an issued OAuth token stops working. ``rotate``: each refresh token
    works once, and the answer holds the next.
    """

    records: Count = 3
    counts: Mapping[str, Count] = field(default_factory=dict)
    secrets: frozenset[str] | None = None
    page_size: int | None = None
    usual_page_size: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    order: Literal["ascending", "descending"] = "ascending"
    faults: tuple[Fault, ...] = ()
    throttle: Throttle | None = None
    token_ttl_s: float = 3600.0
    token_uses: int | None = None
    rotate: bool = False
    seed: int = 0

    def count(self, endpoint: str) -> Count:
        return self.counts.get(endpoint, self.records)
