"""Who is given a token: the OAuth 2.0 token endpoint (RFC 6749, RFC 7523) and logins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from contracts.simulation import AuthCheck, OAuth2Check, SessionCheck
from infra.runtime import clock
from infra.runtime.simulator.messages import Reply, Request
from infra.runtime.simulator.plan import Plan

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_JWT_MAY_LIVE_S = 3600
"""An hour, as Google has it; and what two clocks may differ by."""
_CLOCK_LEEWAY_S = 60


@dataclass
class _Token:
    expires_s: float
    uses_left: int | None


class Issuer:
    """The tokens of one run. ``now_s`` is a monotonic clock; ``checks`` say where tokens are issued."""

    def __init__(self, checks: Iterable[AuthCheck], base_path: str, plan: Plan, now_s: Callable[[], float]) -> None:
        self._plan = plan
        self._now_s = now_s
        self._tokens: dict[str, _Token] = {}
        self._refresh: set[str] = set()
        self._spent: set[str] = set()
        every = tuple(checks)
        self._grants: dict[str, set[str]] = {}
        for check in every:
            if isinstance(check, OAuth2Check):
                self._grants.setdefault(check.token_path, set()).update(check.grants)
        self._logins = {base_path + check.login_path: check for check in every if isinstance(check, SessionCheck)}

    @property
    def token_paths(self) -> frozenset[str]:
        """Those of OAuth."""
        return frozenset(self._grants)

    @property
    def paths(self) -> frozenset[str]:
        return frozenset((*self._grants, *self._logins))

    def answer(self, request: Request) -> Reply:
        """The answer to a POST to one of `paths`."""
        try:
            sent = _members(request)
        except ValueError:
            return _refusal(400, "invalid_request")
        if request.path in self._logins:
            return self._log_in(self._logins[request.path], sent)
        grant = sent.get("grant_type", "")
        if grant == JWT_BEARER:
            return self._exchange_jwt(request, sent)
        if not self._client_is_known(request, sent):
            return _refusal(401, "invalid_client")
        if grant == "refresh_token":
            old = sent.get("refresh_token", "")
            if old in self._spent or not (old in self._refresh or self.knows(old) or self._plan.secrets is None):
                return _refusal(400, "invalid_grant")
            return self._access(self._rotated(old))
        return self._access({}) if grant in ("client_credentials", "password") else _unsupported()

    def knows(self, secret: str | None) -> bool:
        """Whether it is one of the configured values."""
        return secret is not None and secret in (self._plan.secrets or ())

    def honours(self, token: str) -> bool:
        """Whether it was issued and still works; that uses it."""
        found = self._tokens.get(token)
        if found is None or found.expires_s <= self._now_s():
            return False
        if found.uses_left is not None:
            found.uses_left -= 1
            return found.uses_left >= 0
        return True

    # --- the grants -----------------------------------------------------------------------------

    def _client_is_known(self, request: Request, form: Mapping[str, str]) -> bool:
        """The client's name and secret come in the body or by HTTP Basic (RFC 6749, section 2.3.1)."""
        if self._plan.secrets is None:
            return True
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        sent = [unquote(half) for half in pair(credentials)] if scheme.lower() == "basic" else []
        sent += [form[name] for name in ("client_id", "client_secret") if name in form]
        return bool(sent) and all(self.knows(half) for half in sent if half) and any(sent)

    def _rotated(self, old: str) -> dict[str, str]:
        if not self._plan.rotate:
            return {}
        self._spent.add(old)
        fresh = f"refresh-{len(self._spent)}"
        self._refresh.add(fresh)
        return {"refresh_token": fresh}

    def _access(self, more: Mapping[str, str]) -> Reply:
        answer = {"access_token": self._issue("access"), "token_type": "Bearer", **more}
        return _json(200, {**answer, "expires_in": int(self._plan.token_ttl_s)})

    def _issue(self, kind: str) -> str:
        token = f"{kind}-{len(self._tokens) + 1}"
        self._tokens[token] = _Token(self._now_s() + self._plan.token_ttl_s, self._plan.token_uses)
        return token

    def _exchange_jwt(self, request: Request, form: Mapping[str, str]) -> Reply:
        """RFC 7523, section 3.1, with the rules of Google's server on the lifetime."""
        if "jwt_bearer" not in self._grants.get(request.path, ()):
            return _unsupported()
        accounts = service_accounts(self._plan.secrets or ())
        url = f"http://{request.headers.get('host', '')}{request.path}"
        problem = _problem_of(form.get("assertion", ""), accounts, url) if self._plan.secrets is not None else ""
        return _refusal(400, "invalid_grant", problem) if problem else self._access({})

    def _log_in(self, check: SessionCheck, sent: Mapping[str, str]) -> Reply:
        if self._plan.secrets is not None and not all(self.knows(sent.get(name)) for name in check.members):
            return _refusal(401, "wrong credentials")
        token = self._issue("session")
        body: Any = token
        for key in reversed(check.token_path):
            body = {key: body}
        cookie = (("Set-Cookie", f"{check.cookie}={token}; Path=/; HttpOnly"),) if check.cookie else ()
        return _json(200, body if check.token_path else {}, *cookie)


def service_accounts(secrets: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Those among ``secrets`` that are the JSON of a service account's key, by the account's email."""
    found = {}
    for secret in secrets:
        try:
            value = json.loads(secret) if secret.lstrip().startswith("{") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and {"client_email", "private_key"} <= value.keys():
            found[str(value["client_email"])] = value
    return found


def _problem_of(assertion: str, accounts: Mapping[str, Mapping[str, Any]], url: str) -> str:
    """Why the JWT is refused; empty if it is not."""
    import jwt
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
        account = accounts.get(issuer) if isinstance(issuer, str) else None
        if account is None:
            return "Invalid grant: account not found"
        key = load_pem_private_key(str(account["private_key"]).encode(), None).public_key()
        claims = jwt.decode(
            assertion,
            key,  # type: ignore[arg-type] # any other kind of key fails the check of the algorithm
            algorithms=["RS256"],
            audience=url,
            leeway=_CLOCK_LEEWAY_S,
            options={"require": ["iss", "aud", "iat", "exp", "scope"]},
        )
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        return _UNREASONABLE_TIME
    except jwt.PyJWTError as error:
        return f"Invalid JWT: {error}"
    late_s = float(claims["exp"]) - clock.epoch_s()
    return "" if late_s <= _JWT_MAY_LIVE_S + _CLOCK_LEEWAY_S else _UNREASONABLE_TIME


_UNREASONABLE_TIME = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


def pair(credentials: str) -> tuple[str, ...]:
    """User and password of HTTP Basic (RFC 7617); empty if it is none."""
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ()
    return (user, password) if colon else ()


def _members(request: Request) -> dict[str, str]:
    """The body as a form, or as JSON, which many real servers take as well."""
    if "json" in request.headers.get("content-type", ""):
        return {name: str(value) for name, value in request.json_body().items()}
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def _json(status: int, body: Any, *headers: tuple[str, str]) -> Reply:
    return Reply(status, json.dumps(body).encode(), (("Cache-Control", "no-store"), *headers))


def _refusal(status: int, code: str, description: str = "") -> Reply:
    return _json(status, {"error": code, **({"error_description": description} if description else {})})


def _unsupported() -> Reply:
    return _refusal(400, "unsupported_grant_type")
