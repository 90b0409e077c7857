"""How the next page is asked for: judged by request parameters and response fields together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contracts.blueprint import (
    Candidate,
    JsonPath,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    Pagination,
)
from services.research.openapi.endpoint import Endpoint, Param, at_path, tells_structure
from services.research.openapi.paging_cursor import Signals, cursor_candidates, place_of
from services.research.openapi.paging_habits import Habits, names_link_header
from services.research.openapi.paging_numbers import first_number, page_size
from services.research.openapi.paging_request import packed_paging, page_params
from services.research.openapi.paging_response import paging_fields
from services.research.openapi.ranking import candidate
from services.research.openapi.words import words

_COMPARED = re.compile(r"\b(greater|higher|larger|less|lower|smaller|older|newer|bigger) than\b|\bafter the\b")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
_LAST_RECORD = re.compile(r"\b(object|record|item|last|ids?|entry|element)\b")


def pagination_candidates(
    endpoint: Endpoint, records: JsonPath, key: JsonPath | None, habits: Habits
) -> list[Candidate[Pagination]]:
    """Candidates in no order; "none" is always among them. ``key`` is the record's own id, for APIs that page by
    it; ``habits`` is how the API's other lists do it."""
    params = page_params(endpoint)
    signals = Signals(endpoint, params, paging_fields(endpoint, records), page_size(params.size), habits)
    found = [
        *_by_next_url(signals),
        *cursor_candidates(signals),
        *_by_last_record(signals, key),
        *_by_number(signals, _named_field(endpoint, records, params.offset)),
        *_by_header(signals),
    ]
    return [*found, _no_pages(signals, bool(found)), *_usual(signals)]


def _no_pages(signals: Signals, otherwise: bool) -> Candidate[Pagination]:
    """One response is all: likely only where nothing at all speaks of pages, and never stated."""
    fields, params = signals.fields, signals.params
    sure, reason = 0.75, "no parameter and no field for paging"
    if otherwise:
        sure, reason = 0.15, "last resort: one page is all"
    elif (packed := packed_paging(signals.endpoint)) is not None:
        sure, reason = 0.3, f"the paging is packed into the parameter {packed.name}"
    elif fields.has_more or fields.total_pages or fields.token:
        sure, reason = 0.45, "the response speaks of further pages, but no parameter asks for one"
    elif params.size is not None:
        sure, reason = (
            0.55,
            f"the parameter {params.size.name} sets a page's size, but none asks for a further page",
        )
    return candidate(NoPagination(), sure, signals.endpoint.evidence(reason))


def _by_next_url(signals: Signals) -> Iterator[Candidate[Pagination]]:
    """Followed as it comes; but where records are counted completely (offset, size, total) that is surer, because a
    URL may lead around the gateway or the version that the base URL names."""
    endpoint, params, fields, habits = signals.endpoint, signals.params, signals.fields, signals.habits
    counted = params.offset is not None and params.size is not None and (fields.total or fields.has_more)
    for rank, field in enumerate(fields.next_url):
        url = NextUrlPagination(path=field.path, size=signals.size)
        note = endpoint.response_evidence(field.path, "the URL of the next page")
        yield candidate(url, (0.82 if counted else 0.92) - 0.02 * rank, note)
    yield from _by_next_text(signals)
    told = fields.next_url or fields.token or signals.bare_list
    if params.cursors and habits.next_url is not None and not told:
        note = endpoint.evidence(f"other lists of the API hand out the next URL at {'.'.join(habits.next_url)}")
        usual = NextUrlPagination(path=habits.next_url, size=signals.size)
        yield candidate(usual, 0.6, params.cursors[0].evidence(), note)


def _by_next_text(signals: Signals) -> Iterator[Candidate[Pagination]]:
    """A text called ``next`` that no parameter takes: beside its like for other pages it is their URL."""
    if signals.params.cursors:
        return
    names = {".".join(field.path).lower() for field in signals.fields.beside}
    for field in signals.fields.token:
        if field.type == "string" and words(field.name) in (("next",), ("next", "page")):
            path = ".".join(field.path).lower()
            like = {path.replace("next", word) for word in ("previous", "prev", "first", "last")} & names
            note = signals.endpoint.response_evidence(field.path, "a text that no parameter takes: a URL, it seems")
            url = NextUrlPagination(path=field.path, size=signals.size)
            yield candidate(url, 0.82 if like else 0.5, note)


def _by_last_record(signals: Signals, key: JsonPath | None) -> Iterator[Candidate[Pagination]]:
    param = signals.params.last_record
    if param is None:
        return
    said = _LAST_RECORD.search(param.text) is not None
    confidence = 0.62 + (0.15 if said else 0.0) + (0.1 if signals.more else 0.0) - (0.0 if key else 0.1)
    if signals.fields.token or signals.fields.next_url:
        confidence -= 0.4
    if param.words == ("after",) and not said:
        confidence -= 0.3
    if param.words[0] in ("before", "max", "until", "older", "ending"):
        confidence -= 0.1
    last = LastRecordPagination(
        param=param.name,
        field=key or ("id",),
        size=signals.size,
        has_more_path=signals.more,
        location=place_of(param),
    )
    yield candidate(last, confidence, param.evidence())


def _by_number(signals: Signals, keyset: JsonPath | None) -> Iterator[Candidate[Pagination]]:
    """Pages or records are counted. ``keyset`` is the field that the offset is compared with, if it is."""
    fields, params, size = signals.fields, signals.params, signals.size
    if (param := params.page) is not None:
        start, stated = first_number(param, 1)
        page = PageNumberPagination(
            param=param.name,
            start=start,
            size=size,
            total_pages_path=fields.total_pages.path if fields.total_pages else None,
            has_more_path=signals.more,
            location=place_of(param),
        )
        counted = bool(fields.total_pages or fields.total)
        confidence = 0.76 + (0.07 if size else 0.0) + (0.04 if counted else 0.0) + (0.03 if stated else 0.0)
        confidence -= 0.1 if _silent(signals.endpoint) else 0.0
        yield candidate(page, confidence, param.evidence())
        other = page.model_copy(update={"start": 1 - start})
        yield candidate(other, 0.3, param.evidence("the other way of counting"))
    if (param := params.offset) is not None:
        start, stated = first_number(param, 0)
        offset = OffsetPagination(
            param=param.name,
            start=start,
            size=size,
            total_path=fields.total.path if fields.total else None,
            has_more_path=signals.more,
            location=place_of(param),
        )
        confidence = 0.76 + (0.08 if size else -0.06) + (0.04 if fields.total else 0.0) + (0.03 if stated else 0.0)
        confidence -= 0.1 if params.page is not None or _silent(signals.endpoint) else 0.0
        if keyset is not None:
            last = LastRecordPagination(
                param=param.name, field=keyset, size=size, has_more_path=signals.more, location=place_of(param)
            )
            yield candidate(last, 0.82, param.evidence(f"it is compared with the field {'.'.join(keyset)}"))
            confidence -= 0.3
        yield candidate(offset, confidence, param.evidence())


def _silent(endpoint: Endpoint) -> bool:
    """Whether nothing is said of the response: there a member may say how to go on."""
    return not tells_structure(endpoint.response)


def _named_field(endpoint: Endpoint, records: JsonPath, param: Param | None) -> JsonPath | None:
    """The field of the record that a parameter's description compares it with ("those with a ``Number`` greater
    than the offset")."""
    if param is None or not _COMPARED.search(param.text):
        return None
    place = at_path(endpoint.response, records)
    properties: dict[str, object] = place.get("items", {}).get("properties", {})
    told = (name for name in _NAME.findall(param.description[:2000]) if name in properties)
    name = next((name for name in told if name.lower() != name or "_" in name or name.endswith("id")), None)
    return (name,) if name is not None else None


def _by_header(signals: Signals) -> Iterator[Candidate[Pagination]]:
    endpoint, params = signals.endpoint, signals.params
    link = LinkHeaderPagination(size=signals.size)
    if any(name.lower() == "link" for name, _ in endpoint.headers):
        yield candidate(link, 0.93, endpoint.evidence("response header Link"))
    elif names_link_header(endpoint.text) or any(names_link_header(param.text) for param in endpoint.params):
        yield candidate(link, 0.82, endpoint.evidence("the description names the Link header"))
    elif signals.habits.link_header and params.any:
        yield candidate(link, 0.7, endpoint.evidence("the API pages by the Link header"))
    elif params.cursors and signals.bare_list:
        yield candidate(link, 0.6, endpoint.evidence("the list has no room for a token: a header must hold it"))
    elif params.cursors or params.page:
        yield candidate(link, 0.3, endpoint.evidence("a Link header that is not described"))


def _usual(signals: Signals) -> Iterator[Candidate[Pagination]]:
    """What else is worth a try if the answers contradict the description: how the API pages elsewhere."""
    habits, endpoint, size = signals.habits, signals.endpoint, signals.size
    note = endpoint.evidence("how other lists of the API page")
    if habits.next_url is not None and not signals.bare_list:
        yield candidate(NextUrlPagination(path=habits.next_url, size=size), 0.14, note)
    if habits.page is not None:
        start, _ = first_number(habits.page, 1)
        place = place_of(habits.page)
        yield candidate(
            PageNumberPagination(param=habits.page.name, start=start, size=size, location=place), 0.13, note
        )
    if habits.offset is not None:
        place = place_of(habits.offset)
        yield candidate(OffsetPagination(param=habits.offset.name, size=size, location=place), 0.12, note)
    usual = endpoint.evidence("a Link header that is not described")
    yield candidate(LinkHeaderPagination(size=size), 0.1, usual)
