"""Which operations list records, and why the others do not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from contracts.blueprint import Gap, JsonPath
from services.research.openapi.doubles import doubles
from services.research.openapi.endpoint import Endpoint, at_path, tells_structure, type_of
from services.research.openapi.paging_request import packed_paging, page_params
from services.research.openapi.paging_response import PagingFields, paging_fields
from services.research.openapi.selector import Found, find_records
from services.research.openapi.words import is_plural, noun, vocabulary, words

_READING = vocabulary("search query list find lookup filter scan browse fetch get")
_POST_READING = frozenset({"search", "query", "list", "find", "filter", "lookup", "retrieve"})
_WRITING = vocabulary(
    "create add update delete remove send set upload import invite cancel approve reject archive restore "
    "enable disable start stop run execute register revoke reset verify validate confirm submit publish merge "
    "clone copy move rename assign attach detach subscribe unsubscribe lock unlock close open join leave kick "
    "post put patch bulk batch calculate count preview export download void capture refund pay test sync "
    "simulate fire authorize"
)
_LISTING = vocabulary("list search history query all index find feed log timeline")
_BOOKKEEPING = vocabulary(
    "total count size limit offset page cursor next previous prev more pages start end last first number self "
    "status ok success request message messages meta metadata links link paging pagination results per kind etag "
    "type object url error errors warning warnings version time took timed pagelen perpage maximum position at uri "
    "token index has is to expand sort order query"
)
_FEW_OWN_FIELDS = 3
Template = tuple[str, ...]
"""The segments of a path, its variables without their names."""
_ABOUT_ONE_THING = vocabulary("settings preferences metrics statistics stats analytics")
"""Plurals that are one object, if it has members of its own."""
_DATA_IN_A_NAME = re.compile(r"\d{3}")
"""``{"N_1234": [...]}`` in an example is a map by id, whatever else may be in it."""
_WELL_BEING = vocabulary("health healthz status ping version")
_SUGGESTING = vocabulary("suggest suggestion suggestions autocomplete autocompletedata typeahead picker")
_IDENTIFYING = vocabulary("id ids uuid guid gid sid key code number slug name or identifier by no")


class ListEndpoint(NamedTuple):
    """An endpoint that is a stream, and where its records may be; ``confidence`` that it is one."""

    endpoint: Endpoint
    found: list[Found]
    confidence: float
    reason: str

    @property
    def record_name(self) -> str:
        """What the response calls the records; empty if it has no name for them."""
        return self.found[0].selector.path[-1] if self.found and self.found[0].selector.path else ""


def list_endpoints(endpoints: Iterable[Endpoint]) -> tuple[list[ListEndpoint], list[Gap]]:
    """Split into streams and omitted operations."""
    every = list(endpoints)
    detail_parents = {_template(endpoint.segments[:-1]) for endpoint in every if endpoint.ends_with_variable}
    collections = {_template(endpoint.segments) for endpoint in every if endpoint.method == "get"}
    streams: list[ListEndpoint] = []
    omitted: list[Gap] = []
    for endpoint in every:
        verdict = _judge(endpoint, detail_parents, collections)
        if isinstance(verdict, ListEndpoint):
            streams.append(verdict)
        else:
            omitted.append(Gap(subject=endpoint.key, reason=verdict, evidence=(endpoint.evidence(""),)))
    twice = doubles([stream.endpoint for stream in streams])
    for stream in streams:
        if (reason := twice.get(stream.endpoint.key)) is not None:
            evidence = (stream.endpoint.evidence(""),)
            omitted.append(Gap(subject=stream.endpoint.key, reason=reason, evidence=evidence))
    return [stream for stream in streams if stream.endpoint.key not in twice], omitted


def _judge(endpoint: Endpoint, detail_parents: set[Template], collections: set[Template]) -> ListEndpoint | str:
    """A stream, or the reason why not."""
    if any(set(words(segment)) & _SUGGESTING for segment in endpoint.static_segments[-2:]):
        return "it suggests what fits what was typed so far: no list of all"
    if not endpoint.response or _is_open_list(endpoint, detail_parents):
        return _judge_by_path(endpoint, detail_parents)
    return _judge_by_response(endpoint, _template(endpoint.segments[:-1]) in collections)


def _is_open_list(endpoint: Endpoint, detail_parents: set[Template]) -> bool:
    """Called an object of which nothing is said, while the request looks like that of a list."""
    if type_of(endpoint.response) != "object" or tells_structure(endpoint.response):
        return False
    return page_params(endpoint).any or _template(endpoint.segments) in detail_parents


def _judge_by_response(endpoint: Endpoint, in_collection: bool) -> ListEndpoint | str:
    found = find_records(endpoint)
    if not found:
        return "its response is one object" if type_of(endpoint.response) == "object" else "its response is no list"
    best = found[0]
    path = best.selector.path
    plain = best.selector.field or type_of(best.record) not in ("object", "")
    if plain and path and (endpoint.ends_with_variable or _own_fields(endpoint.response, path)):
        return "its response is one object"
    if plain and not best.selector.field:
        return f"it lists plain values ({type_of(best.record)}), not records"
    fields = paging_fields(endpoint, path)
    if plain and path:
        return _judge_plain_values(endpoint, best, fields)
    if not path and best.selector.shape == "array":
        if in_collection and _fetches_one(endpoint, fields):
            return "it reads one record, in a list of one"
        return ListEndpoint(endpoint, found, 0.95, "the response is a list")
    if best.named and _fetches_one(endpoint, fields):
        return "it reads one record, in the envelope of a list"
    score, reason = _envelope_score(endpoint, best, fields)
    if score < 0.5:
        return f"its response is one object that contains lists ({reason})"
    return ListEndpoint(endpoint, found, min(score, 0.95), reason)


def _judge_plain_values(endpoint: Endpoint, best: Found, fields: PagingFields) -> ListEndpoint | str:
    """An object with nothing but bookkeeping around a list of texts or numbers."""
    name = best.selector.path[-1]
    if best.aside or name.startswith(("@", "$", "_")):
        return f"its list of plain values ({name}) accompanies something else"
    if endpoint.resource[-1:] and endpoint.resource[-1] in _ABOUT_ONE_THING:
        return "its response is one object"
    if endpoint.from_example and _DATA_IN_A_NAME.search(name):
        return f"its list of plain values is shown under what looks like an id ({name})"
    paged = page_params(endpoint).any or packed_paging(endpoint) is not None or fields.any
    told = {"paged": paged, "named after the resource": best.named, "nothing else beside it": True}
    reasons = ", ".join(reason for reason, so in told.items() if so)
    confidence = 0.6 + 0.15 * paged + 0.15 * best.named
    return ListEndpoint(endpoint, [best], confidence, f"a list of plain values: {reasons}")


def _fetches_one(endpoint: Endpoint, fields: PagingFields) -> bool:
    """``/Invoices/{InvoiceID}``: the path ends with what identifies one of its resource; nothing turns pages."""
    if not endpoint.ends_with_variable or page_params(endpoint).any:
        return False
    if fields.next_url or fields.token or fields.has_more:
        return False
    asked = tuple(word for word in noun(endpoint.variables[-1]) if word not in _IDENTIFYING)
    return set(asked) <= set(noun(endpoint.static_segments[-1]))


def _envelope_score(endpoint: Endpoint, best: Found, fields: PagingFields) -> tuple[float, str]:
    """Is the object around the array an envelope, or a thing of its own?"""
    score, reasons = 0.4 * best.score, []
    asked = page_params(endpoint).any or packed_paging(endpoint) is not None
    if asked or fields.any:
        score += 0.35
        reasons.append("paged")
    if best.named:
        score += 0.2
        reasons.append("named after the resource")
    own = _own_fields(endpoint.response, best.selector.path)
    score += 0.2 if len(own) == 0 else 0.1 if len(own) <= _FEW_OWN_FIELDS else 0.0 if asked else -0.2
    if not own and best.alone and not endpoint.ends_with_variable:
        score += 0.1
    reasons.append(f"{len(own)} fields of its own")
    if any(words(name) in (("id",), ("uuid",), ("gid",), ("sid",)) for name in own):
        score -= 0.35
        reasons.append("an id of its own")
    if _shows_one(endpoint, own):
        score -= 0.35
        reasons.append("one of its resource beside the list")
    if endpoint.ends_with_variable:
        score -= 0.15 if fields.token or fields.next_url or fields.has_more else 0.35
        reasons.append("the path ends with a variable")
    if endpoint.resource[-1:] and endpoint.resource[-1] in _WELL_BEING:
        score -= 0.1
        reasons.append("it tells how the service is")
    if _path_lists(endpoint) and not (own and endpoint.resource[-1] in _ABOUT_ONE_THING):
        score += 0.15
        reasons.append("a plural path")
    return score, ", ".join(reasons)


def _has_uuid(schema: dict[str, Any]) -> bool:
    """A ``$id`` that is a UUID identifies a thing, while that of an envelope numbers or links it."""
    members = schema.get("properties", {})
    return any(words(name) == ("id",) and member.get("format") == "uuid" for name, member in members.items())


def _own_fields(schema: dict[str, Any], path: JsonPath) -> list[str]:
    """Names beside the records and beside what they are in, that are neither bookkeeping nor containers on the
    way. A mark before them says that they are the envelope's, where that is no thing of its own."""
    marks = () if _has_uuid(schema) else ("@", "$", "_")
    return [
        name
        for depth in range(len(path) or 1)
        for name in at_path(schema, path[:depth]).get("properties", {})
        if name != (path[depth] if path else None) and not name.startswith(marks) and not _keeps_books(name)
    ]


def _keeps_books(name: str) -> bool:
    """``totalSetSize`` does, ``allowedUrlPatterns`` does not: half of the words must speak of it."""
    own = words(name)
    return 2 * sum(word in _BOOKKEEPING for word in own) >= len(own)


def _shows_one(endpoint: Endpoint, own: list[str]) -> bool:
    """``/files.info`` with a ``file`` beside the list: it is about that one."""
    properties = endpoint.response.get("properties", {})
    resource = {word for segment in endpoint.static_segments[-2:] for word in noun(segment)}
    return any(
        type_of(properties.get(name, {})) == "object"
        and "id" in properties[name].get("properties", {})
        and set(words(name)) <= resource
        for name in own
    )


def _judge_by_path(endpoint: Endpoint, detail_parents: set[Template]) -> ListEndpoint | str:
    if endpoint.operation.responses and endpoint.operation.success is None:
        return "no successful response is described"
    if endpoint.ends_with_variable:
        return "the response is not described, and the path ends with a variable: one object"
    if endpoint.method == "post":
        return "the response is not described"
    has_detail = _template(endpoint.segments) in detail_parents
    paged = page_params(endpoint).any
    if _path_lists(endpoint) or (paged and has_detail):
        confidence = 0.45 + (0.2 if has_detail else 0.0) + (0.2 if paged else 0.0)
        return ListEndpoint(endpoint, [], confidence, "judged by its path: the response is not described")
    return "the response is not described, and the path does not look like a list"


def _path_lists(endpoint: Endpoint) -> bool:
    """Whether the last static segment is a plural or says that it lists."""
    if endpoint.ends_with_variable or not endpoint.resource:
        return False
    return is_plural(endpoint.resource[-1]) or bool(set(endpoint.resource) & _LISTING)


def reads(endpoint: Endpoint, *, rpc: bool) -> bool:
    """Whether the operation only reads: GET, or a POST that does. An API without GET (``rpc``) is read by POST."""
    return endpoint.method == "get" or (endpoint.method == "post" and _reads_by_post(endpoint, rpc=rpc))


def _reads_by_post(endpoint: Endpoint, *, rpc: bool) -> bool:
    """POST that only reads: a search or query with a body; in an API without GET, whatever does not write."""
    tail = words(endpoint.static_segments[-1]) if endpoint.static_segments else ()
    named = tail + words(endpoint.operation.operation_id)
    if endpoint.ends_with_variable or (set(tail) & _WRITING and not set(tail) & _POST_READING):
        return False
    if rpc:
        return bool(set(named) & _READING) and not set(words(endpoint.operation.operation_id)[:1]) & _WRITING
    if set(tail) & _POST_READING:
        return True
    offered = page_params(endpoint)
    return bool(offered.cursors) or (
        offered.any and bool(set(words(endpoint.operation.operation_id)[:1]) & _POST_READING)
    )


def _template(segments: Iterable[str]) -> Template:
    return tuple(re.sub(r"\{[^{}]*\}", "{}", segment) for segment in segments)
