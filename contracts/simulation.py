"""The `SimulatedApi`: what an API's document promises about how its *server* behaves.

Made by fixtures from the document alone, mostly from its response side, by inference that research does not
share; served by `infra.runtime.simulator`. Each decision has a `Ground`: stated by the document or assumed. Where
simulator and blueprint disagree, the stated one wins; if neither is stated it is a named gap.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from contracts.base import Frozen
from contracts.blueprint import Evidence, Gap, JsonPath, TimeFormat

_VARIABLE = re.compile(r"\{[^{}]*\}")

Location = Literal["query", "header", "path", "cookie", "body"]

Subject = Literal["records", "schema", "identity", "times", "paging", "size", "filters", "parents", "auth"]
"""What a `Ground` is about. ``records`` is where the records are in the response, and their shape."""


class Ground(Frozen):
    """Why something is simulated as it is.

    ``stated``: the document says so (a schema, a header, an example, a description). Otherwise it is assumed, as
    a faithful server would most likely do, and ``confidence`` says how much that is worth.
    """

    subject: Subject
    stated: bool
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()


# --- who may come in ------------------------------------------------------------------------------


class ApiKeyCheck(Frozen):
    """``prefix`` is what precedes the secret; ``None``: undocumented, so the bare secret and one word before it
    (``Token abc``) are both let in."""

    kind: Literal["api_key"] = "api_key"
    location: Literal["header", "query", "cookie"]
    name: str
    prefix: str | None = None


class BearerCheck(Frozen):
    """``Authorization: Bearer <secret>``"""

    kind: Literal["bearer"] = "bearer"


class BasicCheck(Frozen):
    """RFC 7617. Each non-empty half of the pair must be a known secret."""

    kind: Literal["basic"] = "basic"


class OAuth2Check(Frozen):
    """A bearer token that the token endpoint issued, at ``token_path`` of the simulated server.

    ``direct``: a person can also get a token elsewhere (authorisation code, implicit), so a configured secret is
    let in as it stands. ``jwt_bearer`` is RFC 7523: an assertion signed with the key of a configured service
    account.
    """

    kind: Literal["oauth2"] = "oauth2"
    token_path: str = "/oauth/token"  # noqa: S105 - a path
    grants: tuple[Literal["client_credentials", "refresh_token", "password", "jwt_bearer"], ...] = ()
    direct: bool = False


class SessionCheck(Frozen):
    """A token that a POST to ``login_path`` (below the base path) issued to who sent known secrets as ``members``
    of its body (JSON or a form).

    The answer has the token at ``token_path``, or sets it as ``cookie``. Requests show it at ``location`` under
    ``name``; ``prefix`` as in `ApiKeyCheck`.
    """

    kind: Literal["session"] = "session"
    login_path: str
    members: tuple[str, ...] = Field(min_length=1)
    token_path: JsonPath = ()
    cookie: str = ""
    location: Literal["header", "query", "cookie"] = "header"
    name: str = "Authorization"
    prefix: str | None = None


AuthCheck = Annotated[
    ApiKeyCheck | BearerCheck | BasicCheck | OAuth2Check | SessionCheck, Field(discriminator="kind")
]

AuthWay = tuple[AuthCheck, ...]
"""One way in: all of its checks together. An empty way lets anybody in."""


# --- the request side -----------------------------------------------------------------------------


class Accepted(Frozen):
    """A parameter that the server knows. ``json_schema`` is its type with enum, minimum and the like; a value that
    does not fit it is answered with 400, and so is a required one that is missing."""

    name: str
    location: Location
    required: bool = False
    json_schema: dict[str, Any] = Field(default_factory=dict)


class Position(Frozen):
    """How a request says which page it wants.

    ``none``: it cannot; everything comes at once. ``page``: a page number, the first is ``first``. ``offset``: the
    records to skip, plus ``first``. ``cursor``: an opaque token of the response before. ``last_record``: the value
    of ``field`` in the last record of the page before (Stripe's ``starting_after``). ``numeric``: the token is a
    number. A ``param`` in the body may be dotted (``options.offset``).
    """

    kind: Literal["none", "page", "offset", "cursor", "last_record"] = "none"
    param: str = ""
    location: Literal["query", "body"] = "query"
    first: int = 0
    field: JsonPath = ()
    numeric: bool = False


class PageSize(Frozen):
    """Records per page. ``param`` is ``None`` where a client cannot choose. Above ``maximum`` the size is capped or
    the request rejected with 400."""

    param: str | None = None
    location: Literal["query", "body"] = "query"
    default: int = Field(default=20, ge=1)
    maximum: int | None = Field(default=None, ge=1)
    over: Literal["cap", "reject"] = "cap"


class TimeFilter(Frozen):
    """Leave only records whose time ``field`` is on the right side of the parameter's value.

    ``template`` is what the parameter holds, with ``{value}`` for the time (``greater-than(updated,{value})``).
    """

    param: str
    location: Literal["query", "header", "body"] = "query"
    field: JsonPath
    op: Literal["gte", "gt", "lte", "lt"]
    format: TimeFormat = "date-time"
    template: str = "{value}"


class Sorting(Frozen):
    """The parameter that turns the order around, with the values that do; others leave it as it is."""

    param: str
    location: Literal["query", "body"] = "query"
    descending: tuple[str, ...]


class Source(Frozen):
    """Where a path variable's values are found: ``field`` of the records of endpoint ``endpoint``.

    ``shared``: path variable of that endpoint -> the variable of this one that means the same. ``also``: other
    variables of this endpoint -> the field of the same record that they hold.
    """

    endpoint: str
    field: JsonPath
    shared: dict[str, str] = Field(default_factory=dict)
    also: dict[str, JsonPath] = Field(default_factory=dict)


class PathBinding(Frozen):
    """The path's ``variable`` names a record of any of ``sources`` (the most likely first), else 404.

    ``record_field``: where the records of this endpoint repeat that value, if they do.
    """

    variable: str
    sources: tuple[Source, ...] = Field(min_length=1)
    record_field: JsonPath | None = None


# --- the response side ----------------------------------------------------------------------------


class Signal(Frozen):
    """What a response tells about paging, at ``path`` of the body or in ``header``.

    ``next_url`` may be relative (``absolute`` false); ``link`` is an RFC 8288 header with ``rel="next"``;
    ``links`` is an array of ``{"href": ..., "rel": "next"}`` in the body; ``has_more``, ``is_last`` are booleans.
    ``at_end`` is what stands there when no page follows: nothing, null, an empty string, ``false``, or (Sentry) a
    link that says ``results="false"``. ``text``: a number is sent as a string.
    """

    kind: Literal[
        "total", "total_pages", "count", "page", "offset", "size",
        "has_more", "is_last", "next_cursor", "next_url", "next_page", "next_offset", "link", "links",
    ]  # fmt: skip
    path: JsonPath = ()
    header: str | None = None
    absolute: bool = True
    at_end: Literal["absent", "null", "empty", "false", "results_false"] = "absent"
    text: bool = False


class TimeField(Frozen):
    """A field of the records that holds a time. All time fields grow from record to record, with ties."""

    path: JsonPath
    format: TimeFormat = "date-time"


class Records(Frozen):
    """What an endpoint holds.

    ``shape``: an array at ``path`` of the body, an object (``map``) whose values are the records, or a ``single``
    record. ``json_schema`` is self-contained and bounded. ``identity``: fields whose values are unique in the
    endpoint, the primary one first. ``field``: responses hold plain values (``["a", "b"]``), and a record is an
    object that holds one under this name, which is for telling records apart: no response has it. ``lone``: an
    array of one record is sent as that record alone.
    """

    path: JsonPath = ()
    shape: Literal["array", "map", "single"] = "array"
    field: str = ""
    lone: bool = False
    json_schema: dict[str, Any]
    examples: tuple[dict[str, Any], ...] = ()
    identity: tuple[JsonPath, ...] = ()
    times: tuple[TimeField, ...] = ()


class Endpoint(Frozen):
    """One operation that holds records. ``key`` is ``"GET /path/{variable}"`` as in the document.

    ``envelope`` is the body around the records (they and the signals are put into it). ``auth`` is ``None`` where
    the API's own holds. A path variable without a binding takes any value: it is the caller's to choose. Besides
    ``position`` the server understands those of ``also``; what a request names decides.
    """

    key: str
    method: Literal["GET", "POST"] = "GET"
    path: str
    records: Records
    envelope: Any = None
    media_type: str = "application/json"
    position: Position = Position()
    also: tuple[Position, ...] = ()
    size: PageSize = PageSize()
    signals: tuple[Signal, ...] = ()
    filters: tuple[TimeFilter, ...] = ()
    sorting: Sorting | None = None
    accepts: tuple[Accepted, ...] = ()
    bindings: tuple[PathBinding, ...] = ()
    auth: tuple[AuthWay, ...] | None = None
    grounds: tuple[Ground, ...] = ()

    def ground(self, subject: Subject) -> Ground:
        """The ground of one decision; one that was never taken is assumed, with confidence 0."""
        found = (ground for ground in self.grounds if ground.subject == subject)
        return next(found, Ground(subject=subject, stated=False, confidence=0))


class SimulatedApi(Frozen):
    """The whole server. ``base_path`` precedes every path (``/v1``), without a trailing slash.

    ``auth`` are the ways in, any one of which will do; none means that anybody may enter.
    """

    title: str
    base_path: str = ""
    auth: tuple[AuthWay, ...] = ()
    endpoints: dict[str, Endpoint]
    gaps: tuple[Gap, ...] = ()
    omitted: tuple[Gap, ...] = ()

    def endpoint_at(self, method: str, path: str) -> Endpoint | None:
        """The endpoint of a path template, whatever its variables are called."""
        shape = (method, _VARIABLE.sub("{}", path))
        found = (e for e in self.endpoints.values() if (e.method, _VARIABLE.sub("{}", e.path)) == shape)
        return next(found, None)
