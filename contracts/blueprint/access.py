"""Where the API is, and with what right it is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.base import Frozen
from contracts.blueprint.decisions import JsonPath


class Parameter(Frozen):
    """Something that the user's config must (or may) supply, and where it goes in each request.

    ``name`` is the config's field; ``target`` the name on the wire: a query parameter, a header, a variable of
    the path, or a variable of the server's URL. ``streams`` are those whose requests carry it (empty: all); a
    request that names ``{target}`` itself takes the value there. ``until_now``: of ``format`` date or date-time;
    where it is left out the time of the read is sent (the end of a window in time).

    One that is neither required nor has a value to send where it is left out *opens* its streams: they, and the
    streams that hang on them, are only there once the config has a value.
    """

    name: str
    location: Literal["server", "path", "query", "header"]
    target: str
    description: str = ""
    type: Literal["string", "integer", "number", "boolean"] = "string"
    format: str | None = None
    enum: tuple[str, ...] = ()
    default: str | int | float | bool | None = None
    required: bool = True
    until_now: bool = False
    secret: bool = False
    streams: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        """Whether its streams can only be read by who sets it."""
        return bool(self.streams) and not self.required and self.default is None and not self.until_now


class BaseUrl(Frozen):
    """``template`` without a trailing slash, e.g. ``https://{domain}.example.com/v1``; its variables are
    parameters of location ``server``. ``None`` as the decision's value: the document names no server, and the
    config's ``base_url`` is required."""

    template: str


class ApiKeyAuth(Frozen):
    kind: Literal["api_key"] = "api_key"
    location: Literal["header", "query", "cookie"]
    name: str
    prefix: str = ""
    field: str = "api_key"


class BearerAuth(Frozen):
    kind: Literal["bearer"] = "bearer"


class BasicAuth(Frozen):
    """``password_optional``: the API takes a key as the user name and no password."""

    kind: Literal["basic"] = "basic"
    password_optional: bool = False


class OAuth2ClientCredentialsAuth(Frozen):
    kind: Literal["oauth2_client_credentials"] = "oauth2_client_credentials"
    token_url: str
    scopes: tuple[str, ...] = ()


class OAuth2RefreshTokenAuth(Frozen):
    """Authorisation code and implicit flows, seen from a connector: a refresh token is exchanged."""

    kind: Literal["oauth2_refresh_token"] = "oauth2_refresh_token"
    token_url: str
    scopes: tuple[str, ...] = ()


class ServiceAccountJwtAuth(Frozen):
    """A service account's private key signs a JWT, which is exchanged for an access token (RFC 7523, section 2.1).

    The config holds the account's JSON as Google issues it: its ``token_uri`` says where the exchange is. Optional
    beside it: a user to act for (the claim ``sub``, domain-wide delegation).
    """

    kind: Literal["service_account_jwt"] = "service_account_jwt"
    scopes: tuple[str, ...] = ()


class LoginField(Frozen):
    """A member of the body that logs in. ``name`` on the wire, ``field`` in the config."""

    name: str
    field: str
    title: str = ""
    secret: bool = True
    required: bool = True
    enum: tuple[str, ...] = ()
    default: str | None = None


class SessionTokenAuth(Frozen):
    """A token that the API issues to who logs in with ``fields`` by POST at ``path`` (relative to the base URL).

    ``constants`` are sent besides. The token is in the answer's body at ``token_path`` or, if that is empty, in
    the cookie called ``cookie``; requests carry it at ``location`` under ``name``, after ``prefix``. It is renewed
    after a 401, and before it expires: after the seconds that the answer has at ``expires_in_path``, or
    ``lifetime_s``.
    """

    kind: Literal["session_token"] = "session_token"
    path: str
    encoding: Literal["json", "form"] = "json"
    fields: tuple[LoginField, ...] = Field(min_length=1)
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)
    token_path: JsonPath = ()
    cookie: str = ""
    location: Literal["header", "query", "cookie"] = "header"
    name: str = "Authorization"
    prefix: str = ""
    expires_in_path: JsonPath | None = None
    lifetime_s: float | None = Field(default=None, gt=0)


AuthScheme = Annotated[
    ApiKeyAuth
    | BearerAuth
    | BasicAuth
    | OAuth2ClientCredentialsAuth
    | OAuth2RefreshTokenAuth
    | ServiceAccountJwtAuth
    | SessionTokenAuth,
    Field(discriminator="kind"),
]


class AuthMethod(Frozen):
    """One way in: all of ``schemes`` together (an API may want two keys). ``title`` is short and unlike that of any
    other; ``description`` is what the document says."""

    name: str
    title: str = ""
    description: str = ""
    schemes: tuple[AuthScheme, ...] = Field(min_length=1)


class RateLimit(Frozen):
    """``requests`` per ``per_s`` seconds."""

    requests: int = Field(ge=1)
    per_s: float = Field(gt=0)
