"""The streams, and the whole: `ApiBlueprint`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from contracts.base import Frozen
from contracts.blueprint.access import AuthMethod, BaseUrl, Parameter, RateLimit
from contracts.blueprint.decisions import Decision, Gap, JsonPath, Source
from contracts.blueprint.pagination import Pagination


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
    ``single``: the object at ``path`` is the only record.

    ``field``: the elements of the list are plain values (texts, numbers), and a record is an object that holds one
    under this name. ``beside``: what it holds besides, as texts: name -> variable of the request, which a parent
    gives. A value alone would not say to which of the parents it belongs.

    ``lone``: where the list would hold one record, there may be that record alone (as converters from XML do it).
    """

    path: JsonPath = ()
    shape: Literal["array", "map", "single"] = "array"
    field: str = ""
    beside: dict[str, str] = Field(default_factory=dict)
    lone: bool = False


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


TimeFormat = Literal["date-time", "date", "epoch_s", "epoch_ms", "rfc2822", "ms_date"]
"""How a time is written: ISO 8601 (``date-time``, ``date``), a number since 1970, as in mails (RFC 2822,
section 3.3: ``Fri, 24 May 2019 17:44:46 +0000``), or as in Microsoft's JSON: ``/Date(1573755038314+0000)/``."""


class Cursor(Frozen):
    """The field that grows as records change. ``format`` is that of the parameter's value; ``field_format`` that
    of the record's field."""

    field: JsonPath
    field_format: TimeFormat = "date-time"
    format: TimeFormat = "date-time"
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
    """The whole API. ``omitted`` names operations that are no streams, with the reason, as gaps are named.

    ``sources``: the pages from which a model wrote the document, or what the document lacks. None: nothing but the
    document was read.
    """

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
    sources: tuple[Source, ...] = ()

    @property
    def package(self) -> str:
        """The Python package of its connector."""
        return f"source_{self.name.replace('-', '_')}"


Choices = Mapping[str, int]
"""Option key -> rank of the option taken; absent means 0, the best."""


def option_key(stream: str, field: str) -> str:
    return f"streams.{stream}.{field}"
