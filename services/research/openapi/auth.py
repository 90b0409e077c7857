"""Every way in that the document declares, or shows otherwise. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from contracts.blueprint import ApiKeyAuth, AuthMethod, BearerAuth, Candidate, Evidence, Gap
from infra.runtime.documents import Document, pointer
from services.research.openapi.endpoint import Endpoint
from services.research.openapi.login import find_login
from services.research.openapi.ranking import candidate, decision
from services.research.openapi.security_schemes import Way, uses_authorization, ways_of
from services.research.openapi.undeclared_auth import (
    Access,
    Methods,
    credential_params,
    field_name,
    from_params,
    without,
)

TITLES = {
    "access_token": "Access token",
    "api_key": "API key",
    "basic": "User name and password",
    "client_credentials": "OAuth 2.0 client credentials",
    "oauth2": "OAuth 2.0 refresh token",
    "service_account": "Service account",
}
"""What a way in is called in the form of the config, by the label of its scheme."""
_EXCHANGES = ("oauth2_refresh_token", "oauth2_client_credentials")


def find_auth(
    document: Document, listed: Iterable[Endpoint], endpoints: Iterable[Endpoint], document_url: str | None
) -> Access:
    """Methods in the order of how many of the endpoints ``listed`` accept them; an empty tuple: no authentication.
    ``endpoints`` are all, with all their parameters."""
    chosen = list(listed)
    declared = document.security_schemes()
    wanted = _requirements(chosen, declared)
    gaps: list[Gap] = []
    scopes = {name: reading_scopes(chosen, name) for name in declared}
    methods: list[AuthMethod] = []
    for requirement in wanted:
        methods.extend(_methods(requirement, declared, scopes, document_url, gaps))
    params = credential_params(list(endpoints), 0.5)
    if not methods and params:
        return from_params(params)
    unique = _unique(methods)
    if not unique:
        return without(document, gaps, public=bool(declared))
    if any(scheme.kind in _EXCHANGES for method in unique for scheme in method.schemes):
        gaps = [gap for gap in gaps if "token URL" not in gap.reason]
    evidence = [Evidence(pointer=pointer("components", "securitySchemes", name)) for name in declared][:8]
    best = candidate(unique, 0.9 if not gaps else 0.75, *evidence)
    return Access(decision([*_with_login(document, best), *_token_alternative(unique)]), tuple(gaps))


def _with_login(document: Document, best: Candidate[Methods]) -> list[Candidate[Methods]]:
    """A login beside what it gives a token for, and, should that be wrong, what is known without it."""
    schemes = [method.schemes[0] for method in best.value if len(method.schemes) == 1]
    cookies = (scheme.name for scheme in schemes if isinstance(scheme, ApiKeyAuth) and scheme.location == "cookie")
    login = find_login(document, cookies)
    found = next(filter(None, (login.scheme(scheme) for scheme in schemes)), None) if login else None
    if login is None or found is None:
        return [best]
    methods = (*best.value, AuthMethod(name="login", title="Login", schemes=(found,)))
    return [candidate(methods, best.confidence, *best.evidence, login.evidence), best]


def reading_scopes(endpoints: Iterable[Endpoint], scheme: str) -> tuple[str, ...]:
    """The fewest scopes of ``scheme`` that let all of ``endpoints`` be read, those for reading only first.

    Each endpoint names alternatives. None, if one of them holds a variable that nobody fills: the server then
    grants all that the client may have (RFC 6749, section 3.3).
    """
    wanted: list[list[frozenset[str]]] = []
    for endpoint in endpoints:
        requirements = endpoint.operation.security or ()
        named = [requirement[scheme] for requirement in requirements if isinstance(requirement.get(scheme), list)]
        if named:
            wanted.append([frozenset(map(str, scopes)) for scopes in named])
    counts = Counter(scopes for alternatives in wanted for scopes in set(alternatives))
    ranked = sorted(
        counts, key=lambda scopes: (not _only_reads(scopes), -counts[scopes], len(scopes), sorted(scopes))
    )
    taken: dict[str, None] = {}
    for scopes in ranked:
        if any(scopes in alternatives and not _granted(alternatives, taken) for alternatives in wanted):
            taken |= dict.fromkeys(sorted(scopes))
    return () if any("{" in scope for scope in taken) else tuple(taken)


def _granted(alternatives: Iterable[frozenset[str]], taken: Mapping[str, None]) -> bool:
    return any(scopes <= taken.keys() for scopes in alternatives)


def _only_reads(scopes: frozenset[str]) -> bool:
    return all("read" in scope.lower() for scope in scopes)


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
    sharing = [name for name in requirement if uses_authorization(declared[name])]
    groups = [[name for name in requirement if name not in sharing or name == one] for one in sharing] or [
        list(requirement)
    ]
    ways = [way for group in groups for way in _combined(group, declared, scopes, document_url, gaps)]
    for gap in (Gap(subject="auth", reason=way.gap) for combination in ways for way in combination if way.gap):
        if gap not in gaps:
            gaps.append(gap)
    return [_method(combination, requirement, declared, multiple=len(combination) > 1) for combination in ways]


def _combined(
    names: list[str],
    declared: Mapping[str, Any],
    scopes: Mapping[str, tuple[str, ...]],
    document_url: str | None,
    gaps: list[Gap],
) -> list[list[Way]]:
    combined: list[list[Way]] = [[]]
    for name in names:
        ways = ways_of(name, declared[name], scopes.get(name, ()), document_url)
        if not ways:
            reason = f"the scheme {name!r} ({declared[name].get('type')}) is of a kind that is not supported"
            gaps.append(Gap(subject="auth", reason=reason))
            return []
        combined = [[*before, way] for before in combined for way in ways]
    return combined


def _method(
    ways: list[Way], requirement: tuple[str, ...], declared: Mapping[str, Any], *, multiple: bool
) -> AuthMethod:
    schemes = [
        way.scheme.model_copy(update={"field": field_name(way.scheme.name)})
        if multiple and isinstance(way.scheme, ApiKeyAuth)
        else way.scheme
        for way in ways
    ]
    name = "_and_".join(dict.fromkeys(way.label for way in ways))
    told = next(filter(None, (str(declared[one].get("description") or "").strip() for one in requirement)), "")
    return AuthMethod(
        name=name,
        title=", ".join(dict.fromkeys(TITLES[way.label] for way in ways)),
        description=told.split("\n")[0][:200],
        schemes=tuple(schemes),
    )


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
        title = method.title if name == method.name else f"{method.title} {number - 1}"
        kept.append(method.model_copy(update={"name": name, "title": title}))
    return tuple(kept)


def _token_alternative(methods: Methods) -> list[Candidate[Methods]]:
    """Where only token exchanges are declared: a token that somebody already has."""
    token = (BearerAuth(),)
    exchanged = any(scheme.kind in _EXCHANGES for method in methods for scheme in method.schemes)
    if exchanged and all(method.schemes != token for method in methods):
        note = Evidence(pointer="/components/securitySchemes", note="an access token without exchange")
        return [candidate((AuthMethod(name="access_token", schemes=token),), 0.4, note)]
    return []
