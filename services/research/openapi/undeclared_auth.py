"""Ways in that no security scheme declares: parameters that carry a secret, or what the text says. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from contracts.blueprint import (
    ApiKeyAuth,
    AuthMethod,
    AuthScheme,
    BasicAuth,
    BearerAuth,
    Decision,
    Evidence,
    Gap,
)
from infra.runtime.documents import Document
from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.ranking import candidate, decision
from services.research.openapi.security_schemes import said_prefix
from services.research.openapi.words import snake, vocabulary

Methods = tuple[AuthMethod, ...]

_SECRET_NAME = re.compile(
    r"(api|access|auth|app|application|account|server|client|subscription|session|user|secret|private)"
)
_NOT_AUTH = vocabulary("idempotency csrf xsrf trace request correlation page next sync upload")


class Access(NamedTuple):
    """The ways in, and what is missing for better ones."""

    decision: Decision[Methods]
    gaps: tuple[Gap, ...]


def credential_names(document: Document, endpoints: Iterable[Endpoint]) -> frozenset[tuple[str, str]]:
    """(location, lower-case name) of the parameters that authentication takes care of."""
    declared = document.security_schemes().values()
    names = {
        (str(scheme.get("in")), str(scheme.get("name", "")).lower()) for scheme in declared if "name" in scheme
    }
    every = list(endpoints)
    for param in credential_params(every, 0.05 if declared else 0.5):
        names.add((param.location, param.name.lower()))
    return frozenset({*names, ("header", "authorization")})


def credential_params(endpoints: list[Endpoint], share: float) -> list[Param]:
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


def from_params(params: list[Param]) -> Access:
    schemes: list[AuthScheme] = []
    for param in params:
        if param.words == ("authorization",):
            sample = f"{param.default or param.example or ''}"
            prefix = said_prefix(sample) or said_prefix(param.description) or "Bearer"
            if prefix.lower() == "bearer":
                schemes.append(BearerAuth())
            elif prefix.lower() == "basic":
                schemes.append(BasicAuth())
            else:
                schemes.append(ApiKeyAuth(location="header", name=param.name, prefix=f"{prefix} "))
        else:
            field = field_name(param.name) if len(params) > 1 else "api_key"
            location = "header" if param.location == "header" else "query"
            schemes.append(ApiKeyAuth.model_validate({"location": location, "name": param.name, "field": field}))
    method = AuthMethod(
        name="access_token" if isinstance(schemes[0], BearerAuth) else "api_key", schemes=tuple(schemes)
    )
    evidence = [param.evidence("a parameter that carries a secret") for param in params]
    methods: Methods = (method,)
    return Access(decision([candidate(methods, 0.8, *evidence)]), ())


def without(document: Document, gaps: list[Gap], *, public: bool) -> Access:
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


def field_name(name: str) -> str:
    """The config's field for a header or parameter."""
    return snake(name.removeprefix("X-").removeprefix("x-")) or "api_key"
