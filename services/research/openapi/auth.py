"""Every way in that the document declares, or shows only as a header parameter. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from contracts.blueprint import (
    ApiKeyAuth,
    AuthMethod,
    AuthScheme,
    BasicAuth,
    BearerAuth,
    Candidate,
    Decision,
    Evidence,
    Gap,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
)
from infra.runtime.documents import Document, pointer
from infra.runtime.documents.document import absolute_url
from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.ranking import candidate, decision
from services.research.openapi.words import snake, vocabulary, words

Methods = tuple[AuthMethod, ...]

_PREFIX = re.compile(
    r"(?:authorization|header|value|format)\b[^\n]{0,60}?[:`'\"(]\s*`?([A-Z][A-Za-z]*(?:-[A-Za-z]+)*)(?:\s+|=)"
    r"[`'\"]?(?:[<{\[$]|your|xxx|\*{3}|[a-z_]*(?:key|token)\b)",
    re.IGNORECASE,
)
_LEADING_WORD = re.compile(
    r"^\s*[`'\"]?(Bearer|Token|Basic|Key|ApiKey|OAuth|JWT|SSWS|GoCardless-Signature)\b", re.IGNORECASE
)
_SECRET_NAME = re.compile(
    r"(api|access|auth|app|application|account|server|client|subscription|session|user|secret|private)"
)
_NOT_AUTH = vocabulary("idempotency csrf xsrf trace request correlation page next sync upload")
_NO_PASSWORD = re.compile(
    r"(no|blank|empty|without( a)?|leave the|ignored?|any) (value for the )?password|"
    r"(as|is) (the |your )?(basic auth )?user ?name|"
    r"password (is|can be|may be|should be) (left )?(blank|empty|ignored)",
    re.IGNORECASE,
)
_FLOW_RANK = ("clientCredentials", "authorizationCode", "implicit", "password", "deviceAuthorization")


class Access(NamedTuple):
    """The ways in, and what is missing for better ones."""

    decision: Decision[Methods]
    gaps: tuple[Gap, ...]


class _Way(NamedTuple):
    """One form of one scheme; ``gap`` says what is missing for a better one."""

    label: str
    scheme: AuthScheme
    gap: str = ""


def credential_names(document: Document, endpoints: Iterable[Endpoint]) -> frozenset[tuple[str, str]]:
    """(location, lower-case name) of the parameters that authentication takes care of."""
    declared = document.security_schemes().values()
    names = {
        (str(scheme.get("in")), str(scheme.get("name", "")).lower()) for scheme in declared if "name" in scheme
    }
    every = list(endpoints)
    for param in _credential_params(every, 0.05 if declared else 0.5):
        names.add((param.location, param.name.lower()))
    return frozenset({*names, ("header", "authorization")})


def find_auth(
    document: Document, listed: Iterable[Endpoint], endpoints: Iterable[Endpoint], document_url: str | None
) -> Access:
    """Methods in the order of how many of the endpoints ``listed`` accept them; an empty tuple: no authentication.
    ``endpoints`` are all, with all their parameters."""
    chosen = list(listed)
    declared = document.security_schemes()
    wanted = _requirements(chosen, declared)
    gaps: list[Gap] = []
    scopes = _scopes(chosen)
    methods: list[AuthMethod] = []
    for requirement in wanted:
        methods.extend(_methods(requirement, declared, scopes, document_url, gaps))
    params = _credential_params(list(endpoints), 0.5)
    if not methods and params:
        return _from_params(params)
    unique = _unique(methods)
    if not unique:
        return _without(document, gaps, public=bool(declared))
    evidence = [Evidence(pointer=pointer("components", "securitySchemes", name)) for name in declared][:8]
    best = candidate(unique, 0.9 if not gaps else 0.75, *evidence)
    return Access(decision([best, *_token_alternative(unique)]), tuple(gaps))


def _scopes(endpoints: list[Endpoint]) -> Mapping[str, tuple[str, ...]]:
    """Scheme -> the scopes that reading needs, as far as the operations say."""
    found: dict[str, dict[str, None]] = {}
    for endpoint in endpoints:
        for requirement in endpoint.operation.security or ():
            for name, scopes in requirement.items():
                if isinstance(scopes, list):
                    found.setdefault(name, {}).update(dict.fromkeys(str(scope) for scope in scopes))
    return {name: tuple(scopes) for name, scopes in found.items()}


def _requirements(endpoints: list[Endpoint], declared: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Alternatives, each the schemes needed together; the one that most endpoints accept first."""
    counts: Counter[tuple[str, ...]] = Counter()
    for endpoint in endpoints:
        for requirement in endpoint.operation.security or ():
            schemes = tuple(sorted(name for name in requirement if name in declared))
            if schemes:
                counts[schemes] += 1
    if counts:
        return [schemes for schemes, _ in counts.most_common()]
    if any(endpoint.operation.security is not None for endpoint in endpoints):
        return []
    return [(name,) for name in declared]


def _methods(
    requirement: tuple[str, ...],
    declared: Mapping[str, Any],
    scopes: Mapping[str, tuple[str, ...]],
    document_url: str | None,
    gaps: list[Gap],
) -> list[AuthMethod]:
    """The combinations of the forms of the schemes of one requirement. Schemes that use the same header cannot be
    meant together, whatever the document says: they are alternatives."""
    sharing = [name for name in requirement if _uses_authorization(declared[name])]
    groups = [[name for name in requirement if name not in sharing or name == one] for one in sharing] or [
        list(requirement)
    ]
    ways = [way for group in groups for way in _combined(group, declared, scopes, document_url, gaps)]
    for gap in (Gap(subject="auth", reason=way.gap) for combination in ways for way in combination if way.gap):
        if gap not in gaps:
            gaps.append(gap)
    return [_method(combination, requirement, declared, multiple=len(combination) > 1) for combination in ways]


def _uses_authorization(scheme: Mapping[str, Any]) -> bool:
    kind = str(scheme.get("type") or "").lower()
    return kind != "apikey" or (scheme.get("in") == "header" and str(scheme.get("name")).lower() == "authorization")


def _combined(
    names: list[str],
    declared: Mapping[str, Any],
    scopes: Mapping[str, tuple[str, ...]],
    document_url: str | None,
    gaps: list[Gap],
) -> list[list[_Way]]:
    combined: list[list[_Way]] = [[]]
    for name in names:
        ways = _ways(name, declared[name], scopes.get(name, ()), document_url)
        if not ways:
            reason = f"the scheme {name!r} ({declared[name].get('type')}) is of a kind that is not supported"
            gaps.append(Gap(subject="auth", reason=reason))
            return []
        combined = [[*before, way] for before in combined for way in ways]
    return combined


def _method(
    ways: list[_Way], requirement: tuple[str, ...], declared: Mapping[str, Any], *, multiple: bool
) -> AuthMethod:
    schemes = [
        way.scheme.model_copy(update={"field": _field(way.scheme.name)})
        if multiple and isinstance(way.scheme, ApiKeyAuth)
        else way.scheme
        for way in ways
    ]
    name = "_and_".join(dict.fromkeys(way.label for way in ways))
    title = str(declared[requirement[0]].get("description") or "").strip().split("\n")[0][:80]
    return AuthMethod(name=name, title=title, schemes=tuple(schemes))


def _field(name: str) -> str:
    return snake(name.removeprefix("X-").removeprefix("x-")) or "api_key"


def _ways(name: str, scheme: Mapping[str, Any], scopes: tuple[str, ...], document_url: str | None) -> list[_Way]:
    kind = str(scheme.get("type") or "").lower()
    description = str(scheme.get("description") or "")
    if kind == "apikey":
        return _api_key(name, scheme, description)
    if kind == "http":
        return _http(name, scheme, description)
    if kind == "oauth2":
        return _oauth2(scheme, scopes, document_url)
    return [_Way("access_token", BearerAuth())] if kind == "openidconnect" else []


def _api_key(name: str, scheme: Mapping[str, Any], description: str) -> list[_Way]:
    location, target = scheme.get("in"), scheme.get("name")
    if location not in ("header", "query", "cookie") or not isinstance(target, str) or not target:
        return []
    if location == "header" and target.lower() == "authorization":
        prefix = _prefix(description, name)
        if prefix.lower() == "bearer ":
            return [_Way("access_token", BearerAuth())]
        if prefix.lower() == "basic ":
            return [_Way("basic", BasicAuth())]
        return [_Way("api_key", ApiKeyAuth(location="header", name=target, prefix=prefix))]
    return [_Way("api_key", ApiKeyAuth(location=location, name=target))]


def _prefix(description: str, name: str) -> str:
    """What precedes the secret in ``Authorization``, as far as text or the scheme's name tell."""
    if match := (_LEADING_WORD.match(description) or _PREFIX.search(description)):
        return f"{match[1]} "
    if re.search(r"\bbearer\b", description, re.IGNORECASE) or "bearer" in words(name):
        return "Bearer "
    if "basic" in words(name):
        return "Basic "
    lowered = name.lower()
    return f"{name} " if "-" in name and lowered.endswith(("key", "token")) and name[:1].isupper() else ""


def _http(name: str, scheme: Mapping[str, Any], description: str) -> list[_Way]:
    kind = str(scheme.get("scheme") or "").lower()
    if kind == "bearer":
        return [_Way("access_token", BearerAuth())]
    if kind == "basic":
        return [_Way("basic", BasicAuth(password_optional=_NO_PASSWORD.search(description) is not None))]
    if not kind or kind in ("digest", "hoba", "mutual", "negotiate", "dsn"):
        return []
    return [_Way("api_key", ApiKeyAuth(location="header", name="Authorization", prefix=f"{scheme['scheme']} "))]


def _oauth2(scheme: Mapping[str, Any], scopes: tuple[str, ...], document_url: str | None) -> list[_Way]:
    flows = scheme.get("flows")
    flows = flows if isinstance(flows, dict) else {}
    ways = [
        _flow(name, flows[name], scopes, document_url) for name in _FLOW_RANK if isinstance(flows.get(name), dict)
    ]
    with_tokens = [way for way in ways if not way.gap]
    chosen = with_tokens or ways[:1]
    return chosen or [_Way("access_token", BearerAuth(), "the OAuth 2 scheme declares no flow")]


def _flow(name: str, flow: Mapping[str, Any], scopes: tuple[str, ...], document_url: str | None) -> _Way:
    url = flow.get("tokenUrl")
    token_url = absolute_url(url, document_url) if isinstance(url, str) and url.strip() else None
    if token_url is None:
        gap = f"the OAuth 2 flow {name!r} has no absolute token URL: an access token is asked for instead"
        return _Way("access_token", BearerAuth(), gap)
    if name == "clientCredentials":
        return _Way("client_credentials", OAuth2ClientCredentialsAuth(token_url=token_url, scopes=scopes))
    return _Way("oauth2", OAuth2RefreshTokenAuth(token_url=token_url, scopes=scopes))


def _unique(methods: list[AuthMethod]) -> Methods:
    """Without doubles, each with a name of its own."""
    kept: list[AuthMethod] = []
    for method in methods:
        if any(other.schemes == method.schemes for other in kept):
            continue
        taken = {other.name for other in kept}
        name = method.name
        number = 2
        while name in taken:
            name = f"{method.name}_{number}"
            number += 1
        kept.append(method.model_copy(update={"name": name}))
    return tuple(kept)


def _token_alternative(methods: Methods) -> list[Candidate[Methods]]:
    """Where only token exchanges are declared: a token that somebody already has."""
    if any(
        scheme.kind in ("oauth2_refresh_token", "oauth2_client_credentials")
        for method in methods
        for scheme in method.schemes
    ):
        note = Evidence(pointer="/components/securitySchemes", note="an access token without exchange")
        return [candidate((AuthMethod(name="access_token", schemes=(BearerAuth(),)),), 0.4, note)]
    return []


# --- shown only by parameters ---------------------------------------------------------------------


def _credential_params(endpoints: list[Endpoint], share: float) -> list[Param]:
    """Header and query parameters that carry a secret, on at least that ``share`` of the endpoints."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], Param] = {}
    for endpoint in endpoints:
        for param in endpoint.params:
            if _is_credential(param):
                counts[param.location, param.name.lower()] += 1
                first.setdefault((param.location, param.name.lower()), param)
    enough = max(1, len(endpoints) * share)
    return [first[key] for key, count in counts.items() if count >= enough]


def _is_credential(param: Param) -> bool:
    own = param.words
    if param.location not in ("header", "query") or set(own) & _NOT_AUTH:
        return False
    if own == ("authorization",):
        return param.location == "header"
    if own[-1:] not in (("token",), ("key",), ("apikey",), ("secret",), ("auth",)):
        return False
    if own == ("apikey",):
        return True
    said = re.search(r"authenticat|authori[sz]|api key|api token|access token|credential", param.text) is not None
    if param.location == "query":
        return (param.required and said) or own in (("api", "key"), ("access", "token"), ("api", "token"))
    return said or bool(_SECRET_NAME.search(" ".join(own)))


def _from_params(params: list[Param]) -> Access:
    schemes: list[AuthScheme] = []
    for param in params:
        if param.words == ("authorization",):
            sample = f"{param.default or param.example or ''}"
            match = (
                _LEADING_WORD.match(sample)
                or _LEADING_WORD.match(param.description)
                or _PREFIX.search(param.description)
            )
            prefix = match[1] if match else "Bearer"
            if prefix.lower() == "bearer":
                schemes.append(BearerAuth())
            elif prefix.lower() == "basic":
                schemes.append(BasicAuth())
            else:
                schemes.append(ApiKeyAuth(location="header", name=param.name, prefix=f"{prefix} "))
        else:
            field = _field(param.name) if len(params) > 1 else "api_key"
            location = "header" if param.location == "header" else "query"
            schemes.append(ApiKeyAuth.model_validate({"location": location, "name": param.name, "field": field}))
    method = AuthMethod(
        name="access_token" if isinstance(schemes[0], BearerAuth) else "api_key", schemes=tuple(schemes)
    )
    evidence = [param.evidence("a parameter that carries a secret") for param in params]
    methods: Methods = (method,)
    return Access(decision([candidate(methods, 0.8, *evidence)]), ())


def _without(document: Document, gaps: list[Gap], *, public: bool) -> Access:
    """No scheme applies: an open API, or one that says only in prose how to get in."""
    text = document.description.lower()
    bearer: Methods = (AuthMethod(name="access_token", schemes=(BearerAuth(),)),)
    nothing: Methods = ()
    if not public and re.search(
        r"authorization:? *`?bearer|bearer (token|auth)|access token in the authorization", text
    ):
        said = Evidence(pointer="/info/description", note="bearer tokens are mentioned in the text")
        return Access(decision([candidate(bearer, 0.6, said), candidate(nothing, 0.3)]), tuple(gaps))
    reason = "the document declares no authentication: if the API wants one, that is missing here"
    undeclared = () if public else (Gap(subject="auth", reason=reason),)
    note = Evidence(pointer="/components/securitySchemes", note="nothing is declared or required")
    options = [candidate(nothing, 0.6 if undeclared else 0.9, note), candidate(bearer, 0.2, note)]
    return Access(decision(options), (*gaps, *undeclared))
