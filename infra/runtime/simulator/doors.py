"""Who is let in: credentials at the place the document names, and the OAuth 2.0 token endpoint (RFC 6749)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from contracts.simulation import (
    ApiKeyCheck,
    AuthCheck,
    AuthWay,
    BasicCheck,
    BearerCheck,
    OAuth2Check,
    SimulatedApi,
)
from infra.runtime.simulator.messages import Reply, Request
from infra.runtime.simulator.plan import Plan


@dataclass
class _Token:
    expires_s: float
    uses_left: int | None


class Doors:
    """The checks of one run, and the tokens issued in it. ``now_s`` is a monotonic clock."""

    def __init__(self, api: SimulatedApi, plan: Plan, now_s: Callable[[], float]) -> None:
        self._plan = plan
        self._now_s = now_s
        self._tokens: dict[str, _Token] = {}
        self._refresh: set[str] = set()
        self._spent: set[str] = set()
        ways = (*api.auth, *(way for e in api.endpoints.values() for way in e.auth or ()))
        checks = [check for way in ways for check in way]
        self.token_paths = frozenset(check.token_path for check in checks if isinstance(check, OAuth2Check))
        self.query_names = frozenset(
            check.name for check in checks if isinstance(check, ApiKeyCheck) and check.location == "query"
        )

    def admits(self, ways: tuple[AuthWay, ...], request: Request) -> bool:
        """Whether any way is open to the request. A way without checks is for those who show nothing: a wrong
        credential is wrong even where none is needed."""
        if self._plan.secrets is None or not ways:
            return True
        if any(way and all(self._passes(check, request) for check in way) for way in ways):
            return True
        return () in ways and not any(_shows(check, request) for way in ways for check in way)

    def _passes(self, check: AuthCheck, request: Request) -> bool:
        if isinstance(check, ApiKeyCheck):
            sent = request.get(check.location, check.name)
            return isinstance(sent, str) and self._known(_without_prefix(sent, check.prefix))
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if isinstance(check, BasicCheck):
            halves = _pair(credentials) if scheme.lower() == "basic" else ()
            return any(halves) and all(self._known(half) for half in halves if half)
        if scheme.lower() != "bearer":
            return False
        if isinstance(check, BearerCheck) or (check.direct and self._known(credentials)):
            return self._known(credentials)
        return self._holds(credentials)

    def _known(self, secret: str | None) -> bool:
        return secret is not None and secret in (self._plan.secrets or ())

    def _holds(self, token: str) -> bool:
        found = self._tokens.get(token)
        if found is None or found.expires_s <= self._now_s():
            return False
        if found.uses_left is not None:
            found.uses_left -= 1
            return found.uses_left >= 0
        return True

    # --- the token endpoint ---------------------------------------------------------------------

    def token(self, request: Request) -> Reply:
        """Exchange a client's secret or a refresh token (RFC 6749, sections 4.4.2 and 6) for an access token."""
        try:
            form = _form(request)
        except ValueError:
            return _token_error(400, "invalid_request")
        if not self._client_is_known(request, form):
            return _token_error(401, "invalid_client")
        grant = form.get("grant_type")
        if grant == "refresh_token":
            old = form.get("refresh_token", "")
            if old in self._spent or not (old in self._refresh or self._known(old) or self._plan.secrets is None):
                return _token_error(400, "invalid_grant")
            return self._issue(self._rotated(old))
        return self._issue({}) if grant in ("client_credentials", "password") else _unsupported()

    def _client_is_known(self, request: Request, form: dict[str, str]) -> bool:
        """The client's name and secret come in the body or by HTTP Basic (RFC 6749, section 2.3.1)."""
        if self._plan.secrets is None:
            return True
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        sent = [unquote(half) for half in _pair(credentials)] if scheme.lower() == "basic" else []
        sent += [form[name] for name in ("client_id", "client_secret") if name in form]
        return bool(sent) and all(self._known(half) for half in sent if half) and any(sent)

    def _rotated(self, old: str) -> dict[str, str]:
        if not self._plan.rotate:
            return {}
        self._spent.add(old)
        fresh = f"refresh-{len(self._spent)}"
        self._refresh.add(fresh)
        return {"refresh_token": fresh}

    def _issue(self, more: dict[str, str]) -> Reply:
        token = f"access-{len(self._tokens) + 1}"
        self._tokens[token] = _Token(self._now_s() + self._plan.token_ttl_s, self._plan.token_uses)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": int(self._plan.token_ttl_s), **more}
        return Reply(200, json.dumps(answer).encode(), (("Cache-Control", "no-store"),))


def _shows(check: AuthCheck, request: Request) -> bool:
    """Whether the request carries anything at the place that the check looks at."""
    if isinstance(check, ApiKeyCheck):
        return request.get(check.location, check.name) is not None
    return "authorization" in request.headers


def _without_prefix(sent: str, prefix: str | None) -> str | None:
    if prefix is None:
        return re.sub(r"^[A-Za-z_-]+[ =:]+(?:token=)?", "", sent) if " " in sent else sent
    return sent[len(prefix) :] if sent.startswith(prefix) else None


def _pair(credentials: str) -> tuple[str, ...]:
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ()
    return (user, password) if colon else ()


def _form(request: Request) -> dict[str, str]:
    """The body as a form, or as JSON, which many real servers take as well."""
    if "json" in request.headers.get("content-type", ""):
        return {name: str(value) for name, value in request.json_body().items()}
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def _token_error(status: int, code: str) -> Reply:
    return Reply(status, json.dumps({"error": code}).encode())


def _unsupported() -> Reply:
    return _token_error(400, "unsupported_grant_type")
