"""The ways to authenticate, as fields of the configuration and as code. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from contracts.blueprint import (
    ApiKeyAuth,
    AuthMethod,
    AuthScheme,
    BasicAuth,
    BearerAuth,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
)
from services.generator.compiler.feasible import path_variables
from services.generator.compiler.text import Names, literal, prose

_RESERVED = frozenset({"auth_type", "copy", "json", "schema", "dict", "validate", "construct", "credentials"})


@dataclass(frozen=True)
class Field:
    """One field: ``annotation`` is everything after the colon of its line in the model."""

    name: str
    attribute: str
    annotation: str
    schema: dict[str, Any]
    required: bool = True


@dataclass(frozen=True)
class Method:
    """One variant of ``credentials``; ``schemes`` is the tuple expression that signs requests."""

    name: str
    title: str
    class_name: str
    fields: tuple[Field, ...]
    schemes: str
    kinds: frozenset[str]


def plan_methods(methods: tuple[AuthMethod, ...], server_variables: frozenset[str]) -> tuple[Method, ...]:
    """``server_variables`` are those that a token URL may use."""
    classes = Names(frozenset({"Config", "BaseModel", "Secret", "Url", "Scheme", "OAuth2", "Fixed"}))
    return tuple(_plan(method, classes, server_variables) for method in methods)


def _plan(method: AuthMethod, classes: Names, server_variables: frozenset[str]) -> Method:
    form = _Form()
    parts = [_scheme(scheme, form, server_variables) for scheme in method.schemes]
    return Method(
        name=method.name,
        title=prose(method.title or method.name) or "Credentials",
        class_name=classes.class_name(method.name, "Credentials"),
        fields=tuple(form.fields),
        schemes="(" + ", ".join(parts) + ",)",
        kinds=frozenset(_kind(scheme) for scheme in method.schemes),
    )


def _kind(scheme: AuthScheme) -> str:
    if isinstance(scheme, ApiKeyAuth):
        return f"api_key_{scheme.location}"
    return scheme.kind


class _Form:
    """Collects the fields of one method; two schemes may want a field of the same name."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self._attributes = Names(_RESERVED)
        self._names = {"auth_type"}

    def secret(self, name: str, title: str, *, required: bool = True, hidden: bool = True) -> tuple[str, str]:
        """Add a field; the answer is its name and the expression for its value."""
        return self._add(name, title, "Secret", {"airbyte_secret": True} if hidden else {}, required)

    def url(self, name: str, title: str, *, required: bool) -> tuple[str, str]:
        return self._add(name, title, "Url", {}, required)

    def _add(self, name: str, title: str, type_: str, more: dict[str, Any], required: bool) -> tuple[str, str]:
        number, unique = 1, name
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        attribute = self._attributes.attribute(unique)
        schema = {"type": "string", "title": title, **more}
        annotation = annotated(type_, unique, attribute, required=required)
        self.fields.append(Field(unique, attribute, annotation, schema, required))
        return unique, f"credentials.{attribute}"


def annotated(type_: str, name: str, attribute: str, *, required: bool, default: Any = None) -> str:
    """The annotation, with alias and default where the field needs them."""
    optional = type_ if required or default is not None else f"{type_} | None"
    if attribute == name:
        return optional if required else f"{optional} = {literal(default)}"
    given = f"default={literal(default)}, " if not required else ""
    return f"{optional} = Field({given}alias={literal(name)})"


def _scheme(scheme: AuthScheme, form: _Form, server_variables: frozenset[str]) -> str:
    if isinstance(scheme, ApiKeyAuth):
        return _api_key(scheme, form)
    if isinstance(scheme, BearerAuth):
        _, value = form.secret("access_token", "Access token")
        return f'Fixed(in_headers={{"Authorization": f"Bearer {{{value}.get_secret_value()}}"}})'
    if isinstance(scheme, BasicAuth):
        user = "API key" if scheme.password_optional else "User name"
        _, name = form.secret("username", user, hidden=scheme.password_optional)
        _, password = form.secret("password", "Password", required=not scheme.password_optional)
        return f'Fixed(in_headers={{"Authorization": basic(redact, {name}, {password})}})'
    return _oauth(scheme, form, server_variables)


def _api_key(scheme: ApiKeyAuth, form: _Form) -> str:
    _, value = form.secret(scheme.field, "API key")
    key = f"{value}.get_secret_value()"
    prefix = scheme.prefix
    if prefix and prefix[-1].isalnum():
        prefix += " "
    signed = f"{literal(prefix)} + {key}" if prefix else key
    if scheme.location == "query":
        return f"Fixed(in_query={{{literal(scheme.name)}: {signed}}})"
    if scheme.location == "cookie":
        return f'Fixed(in_headers={{"Cookie": {literal(scheme.name + "=" + prefix)} + {key}}})'
    return f"Fixed(in_headers={{{literal(scheme.name)}: {signed}}})"


def _oauth(
    scheme: OAuth2ClientCredentialsAuth | OAuth2RefreshTokenAuth, form: _Form, server_variables: frozenset[str]
) -> str:
    _, client = form.secret("client_id", "Client ID")
    _, password = form.secret("client_secret", "Client secret")
    known = _token_url(scheme.token_url, server_variables)
    more = ""
    if isinstance(scheme, OAuth2RefreshTokenAuth):
        name, token = form.secret("refresh_token", "Refresh token")
        grant = f'{{"grant_type": "refresh_token", "refresh_token": {token}.get_secret_value()}}'
        more = f", on_rotation=lambda new: keep({literal(name)}, new)"
    else:
        items = {"grant_type": "client_credentials"}
        grant = literal(items | ({"scope": " ".join(scheme.scopes)} if scheme.scopes else {}))
    _, url = form.url("token_url", "URL that issues access tokens", required=known is None)
    address = f"{url} or {known}" if known else url
    return f"OAuth2(transport, redact, {address}, ({client}, {password}), {grant}{more})"


def _token_url(url: str, server_variables: frozenset[str]) -> str | None:
    """The expression for the token URL, or None if the user has to give it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if not url or (parts.scheme and parts.scheme not in {"http", "https"}):
        return None
    names = frozenset(path_variables(url))
    if names - server_variables:
        return None
    if names:
        return f"config.on_server({literal(url)})"
    return literal(url) if parts.scheme else f"urljoin(config.root + '/', {literal(url)})"


def uses(methods: tuple[Method, ...], *kinds: str) -> bool:
    return any(kind in method.kinds for method in methods for kind in kinds)


def all_fields(methods: tuple[Method, ...]) -> Iterator[Field]:
    for method in methods:
        yield from method.fields
