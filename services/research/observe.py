"""What recorded answers of the real API show, ranked above what its document says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

from contracts.answers import RecordedAnswer, RecordedAnswers
from contracts.blueprint import (
    ApiBlueprint,
    Candidate,
    Cursor,
    Decision,
    Evidence,
    JsonPath,
    Selector,
    Stream,
    option_key,
)
from services.research.observed_paging import Page, observed_pagination
from services.research.openapi.examples import schema_of_examples
from services.research.openapi.plain_values import named_by_parents
from services.research.openapi.ranking import MAX_OPTIONS, decision
from services.research.openapi.words import noun, words

T = TypeVar("T")
OBSERVED = 0.97
_DEPTH = 3
_EXAMPLES = 100
"""Records that a schema is made from."""
_KEY_WORDS = ("id", "uuid", "guid", "uid", "key", "gid", "sid", "sku", "code", "number", "slug", "handle")


def observed(blueprint: ApiBlueprint, recorded: RecordedAnswers) -> ApiBlueprint:
    """``blueprint`` with what the answers show first; what the document says stays as the next alternative."""
    shown = _by_stream(blueprint.streams, recorded.answers)
    streams = named_by_parents(
        [_stream(stream, shown[stream.name]) if stream.name in shown else stream for stream in blueprint.streams]
    )
    settled = {
        option_key(new.name, field)
        for old, new in zip(blueprint.streams, streams, strict=True)
        for field in ("pagination", "primary_key")
        if getattr(old, field) != getattr(new, field)
    }
    gaps = tuple(gap for gap in blueprint.gaps if gap.subject not in settled)
    return blueprint.model_copy(update={"streams": tuple(streams), "gaps": gaps})


def _by_stream(
    streams: Sequence[Stream], answers: Iterable[RecordedAnswer]
) -> dict[str, list[tuple[int, RecordedAnswer]]]:
    """Each answer, with its place in the recording, under the streams whose path fits its end best."""
    patterns = [
        (stream.name, stream.request.value.method, _pattern(stream.request.value.path)) for stream in streams
    ]
    found: dict[str, list[tuple[int, RecordedAnswer]]] = {}
    for number, answer in enumerate(answers):
        if not 200 <= answer.status < 300:
            continue
        fitting = [
            (len(pattern.pattern), name)
            for name, method, pattern in patterns
            if method == answer.method and pattern.search(answer.path.rstrip("/"))
        ]
        longest = max((length for length, _ in fitting), default=0)
        for length, name in fitting:
            if length == longest:
                found.setdefault(name, []).append((number, answer))
    return found


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^{}]*\}", path.rstrip("/"))
    return re.compile("[^/]+".join(re.escape(part) for part in parts) + "$")


def _stream(stream: Stream, answers: list[tuple[int, RecordedAnswer]]) -> Stream:
    known = stream.selector.value
    names = frozenset(stream.json_schema.value.get("properties", {}))
    place = _place([answer.body for _, answer in answers], known, stream.name, names)
    if place is None:
        return stream
    pages = [
        Page(number, answer, rows)
        for number, answer in answers
        if (rows := rows_at(answer.body, place, names)) is not None
    ]
    rows = [row for page in pages for row in page.rows]
    proof = Evidence(
        pointer=f"answers/{pages[0].number}", note=f"{len(rows)} records of {len(pages)} recorded answers"
    )
    updates: dict[str, Any] = {}
    if place != known:
        updates["selector"] = _first(stream.selector, place, proof)
    if (found := observed_pagination(stream, pages)) is not None:
        value, page, note = found
        evidence = Evidence(pointer=f"answers/{page.number}", note=note)
        updates["pagination"] = _first(stream.pagination, value, evidence)
    if place.field and place.field != known.field:
        updates["primary_key"] = _first(stream.primary_key, ((place.field,),), proof)
        updates["json_schema"] = _first(stream.json_schema, schema_of_examples(rows[:_EXAMPLES]), proof)
    elif rows and not place.field:
        updates |= _of_rows(stream, rows, [page.rows for page in pages], proof)
    return stream.model_copy(update=updates)


def _first(current: Decision[T], value: T, proof: Evidence) -> Decision[T]:
    """``value`` before all other options."""
    best = Candidate[Any](value=value, confidence=OBSERVED, evidence=(proof,))
    return decision([best, *(option for option in current.options if option.value != value)][:MAX_OPTIONS])


# --- records --------------------------------------------------------------------------------------


def rows_at(body: Any, place: Selector, names: frozenset[str] = frozenset()) -> list[dict[str, Any]] | None:
    """The records of the list at ``place``; None where there is none, or none of such records. ``names`` are the
    documented members of a record."""
    found = _at(body, place.path)
    if place.lone and _is_record(found, names):
        return [found]
    if not isinstance(found, list):
        return None
    if place.field:
        return [{place.field: value} for value in found] if all(map(_is_plain, found)) else None
    return found if all(isinstance(row, dict) for row in found) else None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _is_record(value: Any, names: frozenset[str]) -> bool:
    """Whether most of what an object holds is called like members of a record."""
    return isinstance(value, dict) and 2 * len(value.keys() & names) > len(value)


def _place(bodies: list[Any], known: Selector, name: str, names: frozenset[str]) -> Selector | None:
    """The list that the answers have, of objects or of plain values, which are called like stream ``name`` unless
    they have a name. An empty one is what it was taken for."""
    lists = (found for body in bodies if isinstance(found := _at(body, known.path), list))
    values = list(chain.from_iterable(lists))
    if known.shape == "array" and values and all(map(_is_plain, values)):
        return known if known.field else Selector(path=known.path, field="_".join(noun(name)))
    if known.shape == "array" and any(_is_record(_at(body, known.path), names) for body in bodies):
        return Selector(path=known.path, lone=True)
    path = _records_path(bodies, known)
    if path is None:
        return None
    as_known = path == known.path and known.shape == "array" and not (known.field and values)
    return known if as_known else Selector(path=path)


def _lists(body: Any, at: JsonPath = ()) -> Iterator[tuple[JsonPath, int]]:
    if isinstance(body, list):
        if body and all(isinstance(row, dict) for row in body):
            yield at, len(body)
    elif isinstance(body, dict) and len(at) < _DEPTH:
        for name, member in body.items():
            yield from _lists(member, (*at, name))


def _records_path(bodies: list[Any], known: Selector) -> JsonPath | None:
    """Where the answers hold records: where the document says, if anything is there; else their longest lists."""
    counts: dict[JsonPath, int] = {}
    for body in bodies:
        for path, count in _lists(body):
            counts[path] = counts.get(path, 0) + count
    if known.shape != "array" and any(_is_object_at(body, known.path) for body in bodies):
        return None
    if known.path in counts or not counts:
        return known.path if any(rows_at(body, Selector(path=known.path)) is not None for body in bodies) else None
    return max(counts, key=lambda path: (counts[path], -len(path)))


def _is_object_at(body: Any, path: JsonPath) -> bool:
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return isinstance(body, dict)


def _of_rows(
    stream: Stream, rows: list[dict[str, Any]], pages: list[list[dict[str, Any]]], proof: Evidence
) -> dict[str, Any]:
    """Primary key, cursor and schema, where the records differ from what was expected."""
    updates: dict[str, Any] = {}
    key = stream.primary_key.value
    if key is None or any(_at(row, path) is None for row in rows for path in key):
        found = _key(rows, pages)
        if found != key:
            updates["primary_key"] = _first(stream.primary_key, found, proof)
    cursor = stream.cursor.value
    if cursor is not None and all(_at(row, cursor.field) is None for row in rows):
        nothing: Cursor | None = None
        updates["cursor"] = _first(stream.cursor, nothing, proof)
    schema = _schema(stream.json_schema.value, rows)
    if schema != stream.json_schema.value:
        updates["json_schema"] = _first(stream.json_schema, schema, proof)
    return updates


def _at(row: Any, path: JsonPath) -> Any:
    for key in path:
        row = row.get(key) if isinstance(row, dict) else None
    return row


def _key(rows: list[dict[str, Any]], pages: list[list[dict[str, Any]]]) -> tuple[JsonPath, ...] | None:
    """The field that every record has, that no two of a page share, and whose name is most like a key's."""
    shared = [path for path in _scalars(rows[0]) if all(_is_scalar(_at(row, path)) for row in rows)]
    unique = [path for path in shared if all(len({_at(row, path) for row in page}) == len(page) for page in pages)]
    named = [path for path in unique if words(path[-1])[-1:] and words(path[-1])[-1] in _KEY_WORDS]
    return (min(named, key=_key_rank),) if named else None


def _key_rank(path: JsonPath) -> tuple[int, int, int]:
    own = words(path[-1])
    return (len(path), _KEY_WORDS.index(own[-1]), len(own))


def _scalars(row: Any, at: JsonPath = ()) -> Iterator[JsonPath]:
    for name, member in row.items():
        if isinstance(member, dict) and not at:
            yield from _scalars(member, (name,))
        elif _is_scalar(member):
            yield (*at, name)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _schema(known: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The documented schema with the members that only the records have; theirs alone if it fits none of them."""
    shown = schema_of_examples(rows[:_EXAMPLES])
    told: dict[str, Any] = known.get("properties", {})
    if told and not told.keys() & shown["properties"].keys():
        return shown
    new = {name: member for name, member in shown["properties"].items() if name not in told}
    required = [name for name in known.get("required", ()) if all(name in row for row in rows)]
    if not new and required == list(known.get("required", ())):
        return known
    rest = {name: value for name, value in known.items() if name != "required"}
    return {**rest, "properties": {**told, **new}, **({"required": required} if required else {})}
