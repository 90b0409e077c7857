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
    ServiceAccountJwtAuth,
    SessionTokenAuth,
)
from services.generator.compiler.feasible import path_variables
from services.generator.compiler.text import Names, literal, prose

_CLASSES = frozenset(
    {
        *("Config", "BaseModel", "Secret", "SecretStr", "Url", "ServiceAccountKey", "Text", "IsoTime", "Moment"),
        *("Scheme", "Fixed", "Renewed", "Issued", "OAuth2", "ServiceAccount", "Login", "Transport", "Redactor"),
    }
)
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
    """One variant of ``credentials``; ``schemes`` is the tuple expression that signs requests, ``kinds`` what it
    needs of the code, ``secret_query`` the query parameters that hold secrets."""

    name: str
    title: str
    description: str
    class_name: str
    fields: tuple[Field, ...]
    schemes: str
    kinds: frozenset[str]
    secret_query: frozenset[str] = frozenset()


def plan_methods(methods: tuple[AuthMethod, ...], server_variables: frozenset[str]) -> tuple[Method, ...]:
    """``server_variables`` are those that a token URL may use."""
    classes = Names(_CLASSES)
    return tuple(_plan(method, classes, server_variables) for method in methods)


def _plan(method: AuthMethod, classes: Names, server_variables: frozenset[str]) -> Method:
    form = _Form()
    parts = [_scheme(scheme, form, server_variables) for scheme in method.schemes]
    return Method(
        name=method.name,
        title=prose(method.title or method.name) or "Credentials",
        description=prose(method.description),
        class_name=classes.class_name(method.name, "Credentials"),
        fields=tuple(form.fields),
        schemes="(" + ", ".join(parts) + ",)",
        kinds=frozenset(kind for scheme in method.schemes for kind in _kinds(scheme)),
        secret_query=frozenset(
            scheme.name
            for scheme in method.schemes
            if isinstance(scheme, ApiKeyAuth | SessionTokenAuth) and scheme.location == "query"
        ),
    )


def _kinds(scheme: AuthScheme) -> set[str]:
    """What a scheme needs of the code."""
    if isinstance(scheme, SessionTokenAuth):
        found = {"session_token", f"login_{scheme.encoding}", "login_body" if scheme.token_path else "login_cookie"}
        return found | ({"login_expires"} if scheme.expires_in_path else set())
    return {scheme.kind}


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
        return self._add(name, title, "Url", {"format": "uri"}, required)

    def text(self, name: str, title: str, **more: Any) -> tuple[str, str]:
        """An optional field that is no secret."""
        return self._add(name, title, "Text", more, required=False)

    def choice(self, name: str, title: str, options: tuple[str, ...], default: str | None) -> tuple[str, str]:
        about = {"enum": list(options), **({"default": default} if default else {})}
        type_ = f"Literal[{', '.join(map(literal, options))}]"
        return self._add(name, title, type_, about, required=default is None, default=default)

    def service_account(self, name: str, title: str, description: str) -> tuple[str, str]:
        about = {"description": description, "airbyte_secret": True, "multiline": True}
        return self._add(name, title, "ServiceAccountKey", about, required=True)

    def _add(
        self, name: str, title: str, type_: str, more: dict[str, Any], required: bool, default: str | None = None
    ) -> tuple[str, str]:
        number, unique = 1, name
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        attribute = self._attributes.attribute(unique)
        schema = {"type": "string", "title": title, **more}
        annotation = annotated(type_, unique, attribute, required=required, default=default)
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
        return f"bearer({value}.get_secret_value())"
    if isinstance(scheme, BasicAuth):
        user = "API key" if scheme.password_optional else "User name"
        _, name = form.secret("username", user, hidden=scheme.password_optional)
        _, password = form.secret("password", "Password", required=not scheme.password_optional)
        return f"basic(redact, {name}, {password})"
    if isinstance(scheme, ServiceAccountJwtAuth):
        return _service_account(scheme, form)
    if isinstance(scheme, SessionTokenAuth):
        return _session(scheme, form)
    return _oauth(scheme, form, server_variables)


def _api_key(scheme: ApiKeyAuth, form: _Form) -> str:
    _, value = form.secret(scheme.field, "API key")
    return _carried(scheme.location, scheme.name, _spaced(scheme.prefix), f"{value}.get_secret_value()")


def _spaced(prefix: str) -> str:
    return f"{prefix} " if prefix and prefix[-1].isalnum() else prefix


def _carried(location: str, name: str, prefix: str, secret: str) -> str:
    """The expression for what a request carries; ``secret`` is that for the key or token."""
    if location == "cookie":
        return f'Fixed(in_headers={{"Cookie": {literal(f"{name}={prefix}")} + {secret}}})'
    signed = f"{literal(prefix)} + {secret}" if prefix else secret
    return f"Fixed(in_{'query' if location == 'query' else 'headers'}={{{literal(name)}: {signed}}})"


def _service_account(scheme: ServiceAccountJwtAuth, form: _Form) -> str:
    about = "The whole content of the JSON file that was made with the account's key."
    _, key = form.service_account("service_account_info", "Service account JSON", about)
    delegation = "Email of the user to act for, if the account has domain-wide delegation."
    _, subject = form.text("subject", "User to act for", description=delegation)
    exchange = f"ServiceAccount(transport, redact, {key}, {literal(' '.join(scheme.scopes))}, {subject})"
    return f"Renewed({exchange}, bearer)"


def _session(scheme: SessionTokenAuth, form: _Form) -> str:
    sent = [f"{literal(name)}: {literal(value)}" for name, value in scheme.constants.items()]
    for field in scheme.fields:
        title = field.title or field.field.replace("_", " ").capitalize()
        if field.enum and not field.secret:
            _, value = form.choice(field.field, title, field.enum, field.default)
        else:
            _, secret = form.secret(field.field, title, hidden=field.secret)
            value = f"{secret}.get_secret_value()"
        sent.append(f"{literal(field.name)}: {value}")
    place = f"token_path={literal(scheme.token_path)}" if scheme.token_path else f"cookie={literal(scheme.cookie)}"
    options = [place]
    if scheme.expires_in_path:
        options.append(f"expires_in_path={literal(scheme.expires_in_path)}")
    if scheme.lifetime_s:
        options.append(f"lives_s={literal(scheme.lifetime_s)}")
    url = f"config.root + {literal('/' + scheme.path.lstrip('/'))}"
    members = f"as_{scheme.encoding}({{{', '.join(sent)}}})"
    login = f"Login(transport, redact, {url}, {members}, {', '.join(options)})"
    prefix = _spaced(scheme.prefix)
    if (scheme.location, scheme.name.lower(), prefix.lower()) == ("header", "authorization", "bearer "):
        return f"Renewed({login}, bearer)"
    return f"Renewed({login}, lambda token: {_carried(scheme.location, scheme.name, prefix, 'token')})"


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
    return f"Renewed(OAuth2(transport, redact, {address}, ({client}, {password}), {grant}{more}), bearer)"


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


def needs(methods: tuple[Method, ...]) -> dict[str, Any]:
    """Which parts of the code the ways to authenticate hang on."""
    has_oauth = uses(methods, "oauth2_client_credentials", "oauth2_refresh_token")
    has_service_account = uses(methods, "service_account_jwt")
    secret_query = sorted(frozenset().union(*(method.secret_query for method in methods)))
    parts = ("login_json", "login_form", "login_body", "login_cookie", "login_expires")
    return {
        "has_basic": uses(methods, "basic"),
        "has_bearer": any("bearer" in method.schemes for method in methods),
        "has_oauth": has_oauth,
        "has_refresh_token": uses(methods, "oauth2_refresh_token"),
        "has_service_account": has_service_account,
        "has_login": uses(methods, "session_token"),
        "has_issued": has_oauth or has_service_account or uses(methods, "session_token"),
        "auth_in_query": bool(secret_query),
        "secret_query": f"{{{', '.join(map(literal, secret_query))}}}",
        **{part: uses(methods, part) for part in parts},
    }


def uses(methods: tuple[Method, ...], *kinds: str) -> bool:
    return any(kind in method.kinds for method in methods for kind in kinds)


def all_fields(methods: tuple[Method, ...]) -> Iterator[Field]:
    for method in methods:
        yield from method.fields
