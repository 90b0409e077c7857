"""The `ApiBlueprint`: what is known about an API, typed, with the evidence for each decision.

Research decides; the generator compiles. A repair without a model changes only which of a decision's ranked
options is taken (``choices``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from contracts.base import Frozen

T = TypeVar("T")

JsonPath = tuple[str, ...]
"""Keys from the root of a JSON value down to a member; ``()`` is the value itself."""


class Evidence(Frozen):
    """Where a decision comes from: a JSON pointer into the document (or a URL), and what it says there."""

    pointer: str
    note: str = ""


class Candidate(Frozen, Generic[T]):
    """One possible answer; ``confidence`` from 0 (a guess) to 1 (stated by the document)."""

    value: T
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()


class Decision(Candidate[T], Generic[T]):
    """The best answer and the ranked alternatives to it, next-best first."""

    alternatives: tuple[Candidate[T], ...] = ()

    @property
    def options(self) -> tuple[Candidate[T], ...]:
        return (self, *self.alternatives)

    def chosen(self, rank: int) -> T:
        """The value of the option at ``rank`` (0 is the best)."""
        return self.options[rank].value


class Gap(Frozen):
    """What could not be decided: ``subject`` is an option key or a place in the API."""

    subject: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


# --- where, and with what right -------------------------------------------------------------------


class Parameter(Frozen):
    """Something that the user's config must (or may) supply, and where it goes in each request.

    ``name`` is the config's field; ``target`` the name on the wire: a query parameter, a header, a variable of
    the path, or a variable of the server's URL. ``streams`` are those whose requests carry it (empty: all); a
    request that names ``{target}`` itself takes the value there. ``until_now``: of ``format`` date or date-time;
    where it is left out the time of the read is sent (the end of a window in time).
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


# --- a stream -------------------------------------------------------------------------------------


class Request(Frozen):
    """``path`` is relative to the base URL and holds variables in braces: of the parent or of the config.
    ``query``, ``headers`` and ``body`` (JSON, for POST) are sent as they stand, except that a value of ``query``
    that is one variable in braces (``{"channel": "{channel}"}``) is filled in like the path's."""

    method: Literal["GET", "POST"] = "GET"
    path: str
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, Any] | None = None


class Selector(Frozen):
    """Where the records are. ``array``: a list at ``path``; ``map``: an object whose values are records;
    ``single``: the object at ``path`` is the only record."""

    path: JsonPath = ()
    shape: Literal["array", "map", "single"] = "array"


class PageSize(Frozen):
    """The parameter that sets the page's size, and the value to ask for."""

    param: str
    value: int = Field(ge=1)


class NoPagination(Frozen):
    """One response holds everything."""

    kind: Literal["none"] = "none"


class PageNumberPagination(Frozen):
    """Pages counted from ``start``. Ends at ``total_pages_path``, ``has_more_path`` false, or an empty page."""

    kind: Literal["page"] = "page"
    param: str
    start: int = 1
    size: PageSize | None = None
    total_pages_path: JsonPath | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class OffsetPagination(Frozen):
    """Records skipped. Ends at ``total_path``, ``has_more_path`` false, or an empty page."""

    kind: Literal["offset"] = "offset"
    param: str
    start: int = 0
    size: PageSize | None = None
    total_path: JsonPath | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class CursorPagination(Frozen):
    """An opaque token of the response is sent with the next request; ends when it is absent, null or empty.

    ``source``: the token is in the ``body`` at ``path`` or in the response ``header`` named ``header``.
    """

    kind: Literal["cursor"] = "cursor"
    param: str
    source: Literal["body", "header"] = "body"
    path: JsonPath = ()
    header: str | None = None
    size: PageSize | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class LastRecordPagination(Frozen):
    """The ``field`` of the last record of a page is sent with the next request (Stripe's ``starting_after``)."""

    kind: Literal["last_record"] = "last_record"
    param: str
    field: JsonPath
    size: PageSize | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class NextUrlPagination(Frozen):
    """The body holds the next page's URL at ``path``, absolute or relative."""

    kind: Literal["next_url"] = "next_url"
    path: JsonPath
    size: PageSize | None = None


class LinkHeaderPagination(Frozen):
    """RFC 8288 ``Link: <url>; rel="next"``; some APIs add ``results="false"`` on the last page."""

    kind: Literal["link_header"] = "link_header"
    rel: str = "next"
    size: PageSize | None = None


Pagination = Annotated[
    NoPagination
    | PageNumberPagination
    | OffsetPagination
    | CursorPagination
    | LastRecordPagination
    | NextUrlPagination
    | LinkHeaderPagination,
    Field(discriminator="kind"),
]


class IncrementalFilter(Frozen):
    """How the API is asked for what changed: ``param`` carries the cursor's value.

    ``template`` renders it, ``{value}`` standing for the value (``greater-than(updated,{value})``).
    ``required``: the API refuses a request without it, so the config's ``start_date`` is required.
    """

    param: str
    location: Literal["query", "header", "body"] = "query"
    template: str = "{value}"
    inclusive: bool = True
    required: bool = False


class Cursor(Frozen):
    """The field that grows as records change. ``format`` is that of the parameter's value; ``field_format`` that
    of the record's field."""

    field: JsonPath
    field_format: Literal["date-time", "date", "epoch_s", "epoch_ms"] = "date-time"
    format: Literal["date-time", "date", "epoch_s", "epoch_ms"] = "date-time"
    filter: IncrementalFilter


class Binding(Frozen):
    """The request's ``variable`` (of its path, or of its query) takes the parent record's ``field``."""

    variable: str
    field: JsonPath


class Parent(Frozen):
    """One request per record of stream ``stream``. Variables that the parent itself got from its own parent are
    inherited with it and need no binding."""

    stream: str
    bindings: tuple[Binding, ...] = Field(min_length=1)


class Stream(Frozen):
    """One list endpoint. Option keys of its decisions are ``streams.<name>.<field>``.

    ``primary_key`` is a tuple of paths; ``None`` is a named gap. ``json_schema`` is self-contained (no ``$ref``).
    """

    name: str
    title: str = ""
    request: Decision[Request]
    selector: Decision[Selector]
    pagination: Decision[Pagination]
    primary_key: Decision[tuple[JsonPath, ...] | None]
    cursor: Decision[Cursor | None]
    parent: Decision[Parent | None]
    json_schema: Decision[dict[str, Any]]


STREAM_OPTIONS = ("request", "selector", "pagination", "primary_key", "cursor", "parent", "json_schema")


class ApiBlueprint(Frozen):
    """The whole API. ``omitted`` names operations that are no streams, with the reason, as gaps are named."""

    name: str
    title: str
    description: str = ""
    api_version: str = ""
    document_url: str | None = None
    base_url: Decision[BaseUrl | None]
    auth: Decision[tuple[AuthMethod, ...]]
    parameters: tuple[Parameter, ...] = ()
    rate_limit: Decision[RateLimit | None]
    streams: tuple[Stream, ...] = Field(min_length=1)
    gaps: tuple[Gap, ...] = ()
    omitted: tuple[Gap, ...] = ()


Choices = Mapping[str, int]
"""Option key -> rank of the option taken; absent means 0, the best."""


def option_key(stream: str, field: str) -> str:
    return f"streams.{stream}.{field}"
