"""Blueprints written by hand: a small CRM with every kind of pagination, and pieces to make others from."""

from __future__ import annotations

from typing import Any

from contracts.blueprint import (
    ApiBlueprint,
    AuthMethod,
    AuthScheme,
    BaseUrl,
    BearerAuth,
    Binding,
    Candidate,
    Cursor,
    CursorPagination,
    Decision,
    Evidence,
    IncrementalFilter,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    PageSize,
    Pagination,
    Parameter,
    Parent,
    RateLimit,
    Request,
    Selector,
    Stream,
)

RECORD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["null", "string"]},
        "updated_at": {"type": ["null", "string"], "format": "date-time"},
    },
}

UPDATED_SINCE = Cursor(field=("updated_at",), filter=IncrementalFilter(param="updated_since"))

PAGINATIONS: dict[str, Pagination] = {
    "none": NoPagination(),
    "page": PageNumberPagination(param="page", size=PageSize(param="per_page", value=5)),
    "page_zero": PageNumberPagination(param="page", start=0, total_pages_path=("meta", "pages")),
    "offset": OffsetPagination(param="offset", size=PageSize(param="limit", value=5), total_path=("meta", "total")),
    "cursor": CursorPagination(param="cursor", path=("meta", "next_cursor"), size=PageSize(param="limit", value=5)),
    "header_cursor": CursorPagination(param="cursor", source="header", header="X-Next-Cursor"),
    "last_record": LastRecordPagination(param="starting_after", field=("id",), has_more_path=("has_more",)),
    "next_url": NextUrlPagination(path=("links", "next"), size=PageSize(param="per_page", value=5)),
    "link_header": LinkHeaderPagination(size=PageSize(param="per_page", value=5)),
}
"""One of each kind; the name says what is special."""


def decided(value: Any, *alternatives: Any, confidence: float = 1.0) -> Decision[Any]:
    """A decision with evidence, and less likely alternatives."""
    others: Any = tuple(Candidate(value=other, confidence=confidence / 2) for other in alternatives)
    evidence = (Evidence(pointer="#/paths", note="written by hand"),)
    return Decision(value=value, confidence=confidence, evidence=evidence, alternatives=others)


def stream(
    name: str,
    *,
    path: str | None = None,
    pagination: Pagination | None = None,
    selector: Selector | None = None,
    parent: Parent | None = None,
    cursor: Cursor | None = None,
    request: Request | None = None,
    primary_key: tuple[tuple[str, ...], ...] | None = (("id",),),
    schema: dict[str, Any] | None = None,
) -> Stream:
    return Stream(
        name=name,
        request=decided(request or Request(path=path or f"/{name}")),
        selector=decided(selector or Selector(path=("data",))),
        pagination=decided(pagination or NoPagination()),
        primary_key=decided(primary_key),
        cursor=decided(cursor),
        parent=decided(parent),
        json_schema=decided(schema or RECORD_SCHEMA),
    )


def child(name: str, of: str, path: str, variable: str, **options: Any) -> Stream:
    """A stream with one request per record of ``of``, whose ``id`` becomes ``variable``."""
    parent = Parent(stream=of, bindings=(Binding(variable=variable, field=("id",)),))
    return stream(name, path=path, parent=parent, **options)


def blueprint(
    *streams: Stream,
    name: str = "small-crm",
    schemes: tuple[AuthScheme, ...] = (BearerAuth(),),
    methods: tuple[AuthMethod, ...] | None = None,
    base_url: str | None = "https://api.small-crm.example/v1",
    parameters: tuple[Parameter, ...] = (),
    rate_limit: RateLimit | None = None,
) -> ApiBlueprint:
    """``methods`` are all ways to authenticate; without them ``schemes`` are the only one (none if empty)."""
    only = (AuthMethod(name="token", title="Access token", schemes=schemes),) if schemes else ()
    return ApiBlueprint(
        name=name,
        title="Small CRM",
        description="Contacts, deals and what belongs to them.",
        api_version="1.4",
        base_url=decided(BaseUrl(template=base_url) if base_url else None),
        auth=decided(only if methods is None else methods),
        parameters=parameters,
        rate_limit=decided(rate_limit),
        streams=streams,
    )


def small_crm() -> ApiBlueprint:
    """One stream per kind of pagination, two levels of nested streams, and one that is read incrementally."""
    paged = (stream(f"by_{kind}", pagination=rule) for kind, rule in PAGINATIONS.items())
    return blueprint(
        *paged,
        stream("contacts", pagination=PAGINATIONS["offset"], cursor=UPDATED_SINCE),
        child("deals", "contacts", "/contacts/{contact_id}/deals", "contact_id", pagination=PAGINATIONS["page"]),
        child("notes", "deals", "/contacts/{contact_id}/deals/{deal_id}/notes", "deal_id", cursor=UPDATED_SINCE),
    )


def opened_by_fields() -> ApiBlueprint:
    """Folders that only the user can name, with what is below them, and reports that want a day to begin with:
    both are there once the config has the field. A ``kind`` has a value to begin with."""
    field = {"location": "path", "required": False}
    return blueprint(
        stream("contacts", pagination=PAGINATIONS["page"]),
        stream("items", path="/folders/{folder_id}/items"),
        child("comments", "items", "/items/{item_id}/comments", "item_id"),
        stream("locks", request=Request(path="/locks", query={"folder_id": "{folder_id}"})),
        stream("reports", cursor=UPDATED_SINCE),
        stream("avatars", path="/avatars/{kind}"),
        name="opened",
        parameters=(
            Parameter(name="folder_id", target="folder_id", streams=("items", "locks"), **field),
            Parameter(
                name="from", location="query", target="from", format="date", required=False, streams=("reports",)
            ),
            Parameter(
                name="kind", target="kind", enum=("round", "square"), default="round", streams=("avatars",), **field
            ),
        ),
    )


def of_plain_values() -> ApiBlueprint:
    """Labels that are the whole answer, tags in pages, and the users below each label, a plain value itself."""
    by_label = Parent(stream="labels", bindings=(Binding(variable="label", field=("label",)),))
    of_a_label = Selector(path=("data",), field="user", beside={"label": "label"})
    return blueprint(
        stream("things"),
        stream("labels", selector=Selector(field="label"), primary_key=(("label",),), schema=_texts("label")),
        stream(
            "tags",
            selector=Selector(path=("data",), field="tag"),
            primary_key=(("tag",),),
            pagination=PAGINATIONS["offset"],
            schema=_texts("tag"),
        ),
        stream(
            "users",
            path="/labels/{label}/users",
            selector=of_a_label,
            parent=by_label,
            primary_key=(("label",), ("user",)),
            schema={"type": "object", "properties": {"label": {"type": "string"}, "user": {"type": "number"}}},
        ),
        name="plain-values",
    )


def _texts(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}}
