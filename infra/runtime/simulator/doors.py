"""Who is let in: credentials at the place the document names, and tokens that were issued in this run."""

from __future__ import annotations

import re
from collections.abc import Callable

from contracts.simulation import (
    ApiKeyCheck,
    AuthCheck,
    AuthWay,
    BasicCheck,
    BearerCheck,
    SessionCheck,
    SimulatedApi,
)
from infra.runtime.simulator.issuing import Issuer, pair
from infra.runtime.simulator.messages import Reply, Request
from infra.runtime.simulator.plan import Plan


class Doors:
    """The checks of one run. ``now_s`` is a monotonic clock."""

    def __init__(self, api: SimulatedApi, plan: Plan, now_s: Callable[[], float]) -> None:
        self._plan = plan
        ways = (*api.auth, *(way for e in api.endpoints.values() for way in e.auth or ()))
        checks = [check for way in ways for check in way]
        self._issuer = Issuer(checks, api.base_path, plan, now_s)
        self.token_paths = self._issuer.token_paths
        self.issuing_paths = self._issuer.paths
        self.query_names = frozenset(
            check.name
            for check in checks
            if isinstance(check, ApiKeyCheck | SessionCheck) and check.location == "query"
        )

    def token(self, request: Request) -> Reply:
        """The answer to a POST to one of ``issuing_paths``."""
        return self._issuer.answer(request)

    def admits(self, ways: tuple[AuthWay, ...], request: Request) -> bool:
        """Whether any way is open to the request. A way without checks is for those who show nothing: a wrong
        credential is wrong even where none is needed."""
        if self._plan.secrets is None or not ways:
            return True
        if any(way and all(self._passes(check, request) for check in way) for way in ways):
            return True
        return () in ways and not any(_shows(check, request) for way in ways for check in way)

    def _passes(self, check: AuthCheck, request: Request) -> bool:
        issuer = self._issuer
        if isinstance(check, ApiKeyCheck | SessionCheck):
            sent = request.get(check.location, check.name)
            shown = _without_prefix(sent, check.prefix) if isinstance(sent, str) else None
            if isinstance(check, SessionCheck):
                return shown is not None and issuer.honours(shown)
            return issuer.knows(shown)
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if isinstance(check, BasicCheck):
            halves = pair(credentials) if scheme.lower() == "basic" else ()
            return any(halves) and all(issuer.knows(half) for half in halves if half)
        if scheme.lower() != "bearer":
            return False
        if isinstance(check, BearerCheck) or (check.direct and issuer.knows(credentials)):
            return issuer.knows(credentials)
        return issuer.honours(credentials)


def _shows(check: AuthCheck, request: Request) -> bool:
    """Whether the request carries anything at the place that the check looks at."""
    if isinstance(check, ApiKeyCheck | SessionCheck):
        return request.get(check.location, check.name) is not None
    return "authorization" in request.headers


def _without_prefix(sent: str, prefix: str | None) -> str | None:
    if prefix is None:
        return re.sub(r"^[A-Za-z_-]+[ =:]+(?:token=)?", "", sent) if " " in sent else sent
    return sent[len(prefix) :] if sent.startswith(prefix) else None
