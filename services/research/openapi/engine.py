"""Document -> `ApiBlueprint`: the order in which the decisions are made. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import replace

from contracts.base import Slug
from contracts.blueprint import (
    ApiBlueprint,
    Candidate,
    Cursor,
    Decision,
    Gap,
    Parent,
    Request,
    Stream,
    option_key,
)
from contracts.errors import Permanent
from infra.runtime.documents import Document
from services.research.openapi.auth import find_auth
from services.research.openapi.base_url import find_base_url
from services.research.openapi.details import DetailEndpoint, detail_endpoints
from services.research.openapi.drafts import Draft, detail_drafts, drafts_of
from services.research.openapi.endpoint import Endpoint, Param, endpoint_of
from services.research.openapi.openers import unasked
from services.research.openapi.parameters import asked_at_once, config_parameters, everything
from services.research.openapi.parents import Tree, grow
from services.research.openapi.places import Place, arguments
from services.research.openapi.plain_values import named_by_parents
from services.research.openapi.ranking import GUESS, candidate, decide
from services.research.openapi.rate_limit import find_rate_limit
from services.research.openapi.schema import schema_candidate
from services.research.openapi.streams import list_endpoints, reads
from services.research.openapi.undeclared_auth import credential_names
from services.research.openapi.words import noun as word_noun


def infer(document: Document, *, name: Slug, document_url: str | None) -> ApiBlueprint:
    """Everything that the document says about reading the API.

    Raises:
        Permanent: it describes no list that could be read; the text counts why.
    """
    endpoints = _reading(document)
    secrets = credential_names(document, endpoints)
    listed, omitted = list_endpoints(_without(endpoint, secrets) for endpoint in endpoints)
    if not listed:
        raise Permanent(_nothing(endpoints, omitted), where=document.where)
    details = detail_endpoints(
        (_without(endpoint, secrets) for endpoint in endpoints),
        listed,
        lambda endpoint: _without(endpoint_of(document, endpoint.operation, in_full=True), secrets),
    )
    omitted = _still_omitted(omitted, details)
    access = find_auth(document, [entry.endpoint for entry in listed], endpoints, document_url)
    drafts = drafts_of(document, endpoints, listed)
    drafts += detail_drafts(details, drafts)
    drafts = _readable(drafts, omitted)
    places, asked = _places(drafts)
    tree = grow(places)
    drafts, places = _settled(drafts, places, tree, omitted)
    if not drafts:
        raise Permanent(_nothing(endpoints, omitted), where=document.where)
    where = find_base_url(document, document_url)
    present = {draft.name for draft in drafts}
    asked = {stream: params for stream, params in asked.items() if stream in present}
    taken = [parameter.name for parameter in where.parameters]
    parameters = config_parameters(asked, tree.constants, len(drafts), taken)
    streams = named_by_parents([_stream(draft, place) for draft, place in zip(drafts, places, strict=True)])
    dangling = [_dangling(reference) for reference in sorted(document.dangling)[:50]]
    return ApiBlueprint(
        name=name,
        title=document.title or name,
        description=document.description[:2000],
        api_version=document.version,
        document_url=document_url,
        base_url=where.decision,
        auth=access.decision,
        parameters=(*where.parameters, *parameters),
        rate_limit=find_rate_limit(document, endpoints),
        streams=tuple(streams),
        gaps=(*where.gaps, *access.gaps, *(gap for draft in drafts for gap in draft.gaps), *dangling),
        omitted=tuple(omitted),
    )


def _reading(document: Document) -> list[Endpoint]:
    """The operations that only read, with their responses; the others are not worth their costly part."""
    operations = [operation for operation in document.operations() if operation.method in ("get", "post")]
    rpc = all(operation.method == "post" for operation in operations)
    bare = (endpoint_of(document, operation, with_response=False) for operation in operations)
    found = (endpoint_of(document, endpoint.operation) for endpoint in bare if reads(endpoint, rpc=rpc))
    return [_of_everything(endpoint) for endpoint in found]


def _of_everything(endpoint: Endpoint) -> Endpoint:
    """The endpoint with the value in its path that holds all others: of ``/cards/{filter}`` the ``/cards/all``."""
    path = endpoint.path
    for param in endpoint.params:
        if param.location == "path" and (value := everything(param)) is not None:
            path = path.replace(f"{{{param.name}}}", value)
    return (
        endpoint if path == endpoint.path else replace(endpoint, operation=replace(endpoint.operation, path=path))
    )


def _without(endpoint: Endpoint, secrets: frozenset[tuple[str, str]]) -> Endpoint:
    """The endpoint without the parameters that authentication takes care of."""
    kept = tuple(param for param in endpoint.params if (param.location, param.name.lower()) not in secrets)
    return endpoint if len(kept) == len(endpoint.params) else replace(endpoint, params=kept)


def _still_omitted(omitted: list[Gap], details: list[DetailEndpoint]) -> list[Gap]:
    found = {detail.listed.endpoint.key for detail in details}
    return [gap for gap in omitted if gap.subject not in found]


def _nothing(endpoints: list[Endpoint], omitted: list[Gap]) -> str:
    reasons = Counter(gap.reason.split(":")[0].split("(")[0].strip() for gap in omitted)
    told = "; ".join(f"{count} times: {reason}" for reason, count in reasons.most_common(4))
    looked = f"{len(endpoints)} operations that read were looked at"
    return f"no list of records was found to make a stream of: {looked}" + (f" ({told})" if told else "")


def _dangling(reference: str) -> Gap:
    return Gap(subject="document", reason=f"the reference {reference[:200]!r} leads nowhere")


# --- all streams together -------------------------------------------------------------------------


def _readable(drafts: list[Draft], omitted: list[Gap]) -> list[Draft]:
    """Leave out, with the reason, what demands something that cannot be supplied."""
    kept = []
    for draft in drafts:
        if draft.demands.impossible:
            omitted.append(_omission(draft, draft.demands.impossible))
        else:
            kept.append(draft)
    return kept


def _omission(draft: Draft, reason: str) -> Gap:
    return Gap(subject=draft.endpoint.key, reason=reason, evidence=(draft.endpoint.evidence(""),))


def _places(drafts: list[Draft]) -> tuple[list[Place], dict[str, tuple[Param, ...]]]:
    """Each stream's place to be found, and what the config is asked for instead, by stream."""
    users = Counter((param.location, param.name) for draft in drafts for param in draft.demands.open)
    places, asked = [], {}
    for draft in drafts:
        from_config = tuple(
            param
            for param in draft.demands.open
            if asked_at_once(param, users[param.location, param.name], len(drafts))
        )
        wanted = tuple(param for param in draft.demands.open if param not in from_config)
        asked[draft.name] = from_config
        places.append(
            Place(
                name=draft.name,
                path=draft.endpoint.path,
                pointer=draft.endpoint.operation.pointer,
                noun=draft.noun,
                record=draft.record,
                key=draft.key.value,
                also=word_noun(draft.listed.record_name),
                wanted=wanted,
                offered=arguments(draft.endpoint),
                leaf=draft.is_detail,
                unasked=unasked(draft.listed.confidence, wanted),
                described={param.name: param for param in draft.endpoint.params if param.location == "path"},
            )
        )
    return places, asked


def _settled(
    drafts: list[Draft], places: list[Place], tree: Tree, omitted: list[Gap]
) -> tuple[list[Draft], list[Place]]:
    kept_drafts, kept_places = [], []
    for draft, place in zip(drafts, places, strict=True):
        if place.name in tree.unresolved:
            omitted.append(_omission(draft, tree.unresolved[place.name]))
        else:
            kept_drafts.append(draft)
            kept_places.append(place)
    return kept_drafts, kept_places


def _cursor_beside(draft: Draft, configured: Container[str]) -> Decision[Cursor | None]:
    """None that goes in a parameter which the config fills (an expression: a time is one part)."""
    cursor = draft.cursor.value
    if cursor is None or cursor.filter.param not in configured:
        return draft.cursor
    reason = f"{cursor.filter.param}, which could ask for what changed, is the user's to fill"
    evidence = draft.endpoint.evidence(reason)
    draft.gaps.append(Gap(subject=option_key(draft.name, "cursor"), reason=reason, evidence=(evidence,)))
    return decide([candidate(None, 0.9, evidence)])


def _stream(draft: Draft, place: Place) -> Stream:
    endpoint = draft.endpoint
    configured = {param.name: param.name for param in place.wanted if param.name in place.constants}
    queried = {name: f"{{{variable}}}" for name, variable in (configured | place.queried).items()}
    request = Request(
        method="POST" if endpoint.method == "post" else "GET",
        path=place.path,
        query={**draft.demands.query, **queried},
        headers=draft.demands.headers,
        body=draft.demands.body if endpoint.method == "post" else None,
    )
    evidence = (endpoint.evidence(draft.listed.reason), *draft.demands.evidence)
    parents: list[Candidate[Parent | None]] = place.parents or [
        candidate(None, 0.95, endpoint.evidence("nothing in its request depends on another stream"))
    ]
    parent = decide(parents)
    if parent.confidence < GUESS:
        reason = "which records its requests name is not said: the best guess is taken"
        draft.gaps.append(Gap(subject=option_key(draft.name, "parent"), reason=reason, evidence=parent.evidence))
    schema, gap = schema_candidate(endpoint, draft.record, draft.selector.value.path)
    if gap is not None:
        draft.gaps.append(gap.model_copy(update={"subject": option_key(draft.name, "json_schema")}))
    return Stream(
        name=draft.name,
        title=endpoint.operation.summary[:120],
        request=decide([candidate(request, draft.listed.confidence, *evidence)]),
        selector=draft.selector,
        pagination=draft.pagination,
        primary_key=draft.key,
        cursor=_cursor_beside(draft, configured),
        parent=parent,
        json_schema=decide([schema]),
    )
