"""Endpoints of one record that tell more than its list does: streams of their own, a request for each record. Pure.

A list often shows summaries (``/webhooks``: id and target), and only ``/webhooks/{id}`` tells the rest. An endpoint
that tells nothing new would cost a request a record for nothing: it is no stream.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from contracts.blueprint import Selector
from services.research.openapi.endpoint import Endpoint, type_of
from services.research.openapi.names import record_noun
from services.research.openapi.places import own_subject, template_of
from services.research.openapi.selector import Found, find_records
from services.research.openapi.streams import ListEndpoint
from services.research.openapi.words import vocabulary

_SHARED = 0.5
"""Of a list's fields, that the detail must have as well to be one of its records."""
_TELLING = 3
"""Shared fields that show, for a list that stands elsewhere, that its records are meant."""
_SAYS_NOTHING = vocabulary("deleted object links link self href url uri etag")
"""What an endpoint answers of a record that is gone, of its kind, and of where it is."""
_CONFIDENCE = 0.9


class DetailEndpoint(NamedTuple):
    """``listed`` as a stream of the records that ``summary`` lists."""

    listed: ListEndpoint
    summary: ListEndpoint


def detail_endpoints(
    endpoints: Iterable[Endpoint], lists: Sequence[ListEndpoint], in_full: Callable[[Endpoint], Endpoint]
) -> list[DetailEndpoint]:
    """The endpoints of one record whose schema has fields that the records of its list lack; one for each list.

    Args:
        in_full: reads an endpoint with all of its response; the others have as much as shows that it is one object.
    """
    known = _Summaries(lists)
    taken = {entry.endpoint.key for entry in lists}
    details = [e for e in endpoints if e.method == "get" and e.ends_with_variable and e.key not in taken]
    found: dict[str, DetailEndpoint] = {}
    for summaries in (known.before, known.elsewhere):
        for endpoint in details:
            for summary in summaries(endpoint):
                if summary.endpoint.key not in found and (listed := _fuller(in_full(endpoint), summary)):
                    found[summary.endpoint.key] = DetailEndpoint(listed, summary)
                    break
    return list(found.values())


class _Summaries:
    """The lists with described records: by their path, and by what one of their records is called."""

    def __init__(self, lists: Iterable[ListEndpoint]) -> None:
        self._by_path: dict[tuple[str, ...], ListEndpoint] = {}
        self._by_noun: dict[tuple[str, ...], list[ListEndpoint]] = defaultdict(list)
        for entry in lists:
            if entry.endpoint.method == "get" and _fields(entry):
                self._by_path.setdefault(template_of(entry.endpoint.segments), entry)
                self._by_noun[record_noun(entry.endpoint, entry.record_name)].append(entry)

    def before(self, endpoint: Endpoint) -> list[ListEndpoint]:
        """The list that stands before the variable."""
        found = self._by_path.get(template_of(endpoint.segments[:-1]))
        return [found] if found is not None else []

    def elsewhere(self, endpoint: Endpoint) -> list[ListEndpoint]:
        """Where none stands there, the lists of what the variable and the path name, most alike first."""
        named = own_subject(endpoint.variables[-1])
        if self.before(endpoint) or named != record_noun(endpoint, ""):
            return []
        shown = set(_names(endpoint.response))
        lists = self._by_noun.get(named, ())
        alike = [(len(shown & _fields(entry).keys()), entry) for entry in lists]
        alike.sort(key=lambda pair: (-pair[0], len(pair[1].endpoint.variables)))
        return [entry for shared, entry in alike if shared >= _TELLING]


def _fuller(endpoint: Endpoint, summary: ListEndpoint) -> ListEndpoint | None:
    """The detail as a stream; ``None`` if it is no record of the list, or tells nothing more. With a list of plain
    values (ids) there is nothing to compare."""
    fields = _fields(summary)
    places = list(_places(endpoint))
    best = max(
        places, key=lambda place: len(fields.keys() & place.record.get("properties", {}).keys()), default=None
    )
    if best is None:
        return None
    shown = best.record.get("properties", {})
    is_plain = bool(summary.found[0].selector.field)
    if not is_plain and len(fields.keys() & shown.keys()) < _SHARED * len(fields):
        return None
    more = [name for name in shown if name not in fields and not _tells_nothing(name)]
    more += [
        f"{name}.{inner}"
        for name in fields.keys() & shown.keys()
        for inner in _more_inside(fields[name], shown[name])
    ]
    if not more:
        return None
    told = ", ".join(sorted(more)[:5])
    return ListEndpoint(endpoint, [best], _CONFIDENCE, f"it tells what {summary.endpoint.key} does not: {told}")


def _places(endpoint: Endpoint) -> Iterator[Found]:
    """Where the one record may be: the response, an object in it, or the first of a list."""
    response = endpoint.response
    yield Found(Selector(shape="single"), 0.9, response, named=False)
    for name, member in response.get("properties", {}).items():
        if type_of(member) == "object":
            yield Found(Selector(path=(name,), shape="single"), 0.9, member, named=False)
    yield from find_records(endpoint)[:1]


def _fields(entry: ListEndpoint) -> dict[str, Any]:
    properties: dict[str, Any] = entry.found[0].record.get("properties", {}) if entry.found else {}
    return properties


def _names(schema: dict[str, Any]) -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        yield name
        yield from member.get("properties", {})


def _more_inside(listed: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    """What an object has in the detail only; nothing if the list does not describe it."""
    known = listed.get("properties", {})
    return [
        name for name in shown.get("properties", {}) if known and name not in known and not _tells_nothing(name)
    ]


def _tells_nothing(name: str) -> bool:
    return name.lower() in _SAYS_NOTHING or name.startswith(("@", "$", "_"))
