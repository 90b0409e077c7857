"""What a declared security scheme (OpenAPI 3.1, section 4.8.27) means: its forms, best first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from contracts.blueprint import (
    ApiKeyAuth,
    AuthScheme,
    BasicAuth,
    BearerAuth,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
    ServiceAccountJwtAuth,
)
from infra.runtime.documents.document import absolute_url
from services.research.openapi.words import words

_PREFIX = re.compile(
    r"(?:authorization|header|value|format)\b[^\n]{0,60}?[:`'\"(]\s*`?([A-Z][A-Za-z]*(?:-[A-Za-z]+)*)(?:\s+|=)"
    r"[`'\"]?(?:[<{\[$]|your|xxx|\*{3}|[a-z_]*(?:key|token)\b)",
    re.IGNORECASE,
)
_LEADING_WORD = re.compile(
    r"^\s*[`'\"]?(Bearer|Token|Basic|Key|ApiKey|OAuth|JWT|SSWS|GoCardless-Signature)\b", re.IGNORECASE
)
_NO_PASSWORD = re.compile(
    r"(no|blank|empty|without( a)?|leave the|ignored?|any) (value for the )?password|"
    r"(as|is) (the |your )?(basic auth )?user ?name|"
    r"password (is|can be|may be|should be) (left )?(blank|empty|ignored)",
    re.IGNORECASE,
)
_FLOW_RANK = ("clientCredentials", "authorizationCode", "implicit", "password", "deviceAuthorization")
_GOOGLE_HOSTS = re.compile(r"(^|\.)(accounts\.google\.com|googleapis\.com)$")
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/"


class Way(NamedTuple):
    """One form of one scheme; ``gap`` says what is missing for a better one."""

    label: str
    scheme: AuthScheme
    gap: str = ""


def ways_of(name: str, scheme: Mapping[str, Any], scopes: tuple[str, ...], document_url: str | None) -> list[Way]:
    """``scopes`` are those that reading needs. Empty: the scheme is of a kind that is not supported."""
    kind = str(scheme.get("type") or "").lower()
    description = str(scheme.get("description") or "")
    if kind == "apikey":
        return _api_key(name, scheme, description)
    if kind == "http":
        return _http(name, scheme, description)
    if kind == "oauth2":
        return _oauth2(scheme, scopes, document_url)
    return [Way("access_token", BearerAuth())] if kind == "openidconnect" else []


def uses_authorization(scheme: Mapping[str, Any]) -> bool:
    """Whether it is the ``Authorization`` header that it needs."""
    kind = str(scheme.get("type") or "").lower()
    return kind != "apikey" or (scheme.get("in") == "header" and str(scheme.get("name")).lower() == "authorization")


def _api_key(name: str, scheme: Mapping[str, Any], description: str) -> list[Way]:
    location, target = scheme.get("in"), scheme.get("name")
    if location not in ("header", "query", "cookie") or not isinstance(target, str) or not target:
        return []
    if location == "header" and target.lower() == "authorization":
        prefix = _prefix(description, name)
        if prefix.lower() == "bearer ":
            return [Way("access_token", BearerAuth())]
        if prefix.lower() == "basic ":
            return [Way("basic", BasicAuth())]
        return [Way("api_key", ApiKeyAuth(location="header", name=target, prefix=prefix))]
    return [Way("api_key", ApiKeyAuth(location=location, name=target))]


def _prefix(description: str, name: str) -> str:
    """What precedes the secret in ``Authorization``, as far as text or the scheme's name tell."""
    if said := said_prefix(description):
        return f"{said} "
    if re.search(r"\bbearer\b", description, re.IGNORECASE) or "bearer" in words(name):
        return "Bearer "
    if "basic" in words(name):
        return "Basic "
    lowered = name.lower()
    return f"{name} " if "-" in name and lowered.endswith(("key", "token")) and name[:1].isupper() else ""


def said_prefix(text: str) -> str:
    """The word before the secret, as a sample or a description has it; empty if it has none."""
    match = _LEADING_WORD.match(text) or _PREFIX.search(text)
    return match[1] if match else ""


def _http(name: str, scheme: Mapping[str, Any], description: str) -> list[Way]:
    kind = str(scheme.get("scheme") or "").lower()
    if kind == "bearer":
        return [Way("access_token", BearerAuth())]
    if kind == "basic":
        return [Way("basic", BasicAuth(password_optional=_NO_PASSWORD.search(description) is not None))]
    if not kind or kind in ("digest", "hoba", "mutual", "negotiate", "dsn"):
        return []
    return [Way("api_key", ApiKeyAuth(location="header", name="Authorization", prefix=f"{scheme['scheme']} "))]


def _oauth2(scheme: Mapping[str, Any], scopes: tuple[str, ...], document_url: str | None) -> list[Way]:
    """The flows that issue tokens; where a person authorises, also the token that somebody already has."""
    declared = scheme.get("flows")
    flows = {name: flow for name, flow in (declared if isinstance(declared, dict) else {}).items() if flow}
    flows = {name: flows[name] for name in _FLOW_RANK if isinstance(flows.get(name), dict)}
    ways = [_flow(name, flow, scopes, document_url) for name, flow in flows.items()]
    with_tokens = [way for way in ways if not way.gap]
    chosen = with_tokens or ways[:1] or [Way("access_token", BearerAuth(), "the OAuth 2 scheme declares no flow")]
    if any(isinstance(way.scheme, OAuth2RefreshTokenAuth) for way in chosen):
        chosen.append(Way("access_token", BearerAuth()))
    if _is_google(flows.values(), scopes):
        chosen.append(Way("service_account", ServiceAccountJwtAuth(scopes=scopes)))
    return chosen


def _flow(name: str, flow: Mapping[str, Any], scopes: tuple[str, ...], document_url: str | None) -> Way:
    url = flow.get("tokenUrl")
    token_url = absolute_url(url, document_url) if isinstance(url, str) and url.strip() else None
    if token_url is None:
        gap = f"the OAuth 2 flow {name!r} has no absolute token URL: an access token is asked for instead"
        return Way("access_token", BearerAuth(), gap)
    if name == "clientCredentials":
        return Way("client_credentials", OAuth2ClientCredentialsAuth(token_url=token_url, scopes=scopes))
    return Way("oauth2", OAuth2RefreshTokenAuth(token_url=token_url, scopes=scopes))


def _is_google(flows: Iterable[Mapping[str, Any]], scopes: Iterable[str]) -> bool:
    """Whether tokens come from Google's server, which also takes JWTs that a service account signed."""
    if any(scope.startswith(_GOOGLE_SCOPE) for scope in scopes):
        return True
    urls = (flow.get(key) for flow in flows for key in ("tokenUrl", "authorizationUrl"))
    return any(isinstance(url, str) and _GOOGLE_HOSTS.search(_host(url)) for url in urls)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
