"""Stream names: snake case, plural, unique, the same for the same document. Pure."""

from __future__ import annotations

import re

from services.research.openapi.endpoint import Endpoint
from services.research.openapi.words import is_plural, plural, singular, vocabulary, words

MAX_LENGTH = 60
VERSION = re.compile(r"[vV]?\d+(\.\d+)*|latest|beta|alpha")
PLUMBING = vocabulary("api rest services public rpc web")
ACTIONS = vocabulary("list search query all index find get lookup filter browse fetch feed")


def stream_names(endpoints: list[Endpoint], record_names: list[str]) -> list[str]:
    """One name per endpoint, in the same order. Short paths choose first, so ``tasks`` is the plain list and
    ``project_tasks`` the nested one. ``record_names`` are what the responses call their records, or ``""``."""
    order = sorted(range(len(endpoints)), key=lambda index: _precedence(endpoints[index]))
    taken: set[str] = set()
    names = [""] * len(endpoints)
    for index in order:
        name = _free(_proposals(endpoints[index], record_names[index]), taken)
        taken.add(name)
        names[index] = name
    return names


def detail_names(stems: list[str], taken: set[str]) -> list[str]:
    """``project_tasks`` -> ``project_task_details``: for streams of such records in full."""
    names: list[str] = []
    for stem in stems:
        *before, last = stem.split("_")
        names.append(_free([_clean("_".join((*before, singular(last), "details")))], {*taken, *names}))
    return names


def _precedence(endpoint: Endpoint) -> tuple[int, int, int, bool, str, str]:
    depth = (
        len(endpoint.variables),
        len(endpoint.segments),
        endpoint.segments[-1].count(".") if endpoint.segments else 0,
    )
    return *depth, endpoint.method != "get", endpoint.path, endpoint.method


def _proposals(endpoint: Endpoint, record_name: str) -> list[str]:
    """From short to long: the resource, then with what it is nested in, then with its action."""
    parts = [words(segment) for segment in meaningful(endpoint)]
    actions = [part for part in parts[-1:] if set(part) <= ACTIONS]
    nouns = parts[: -len(actions)] if actions and len(parts) > 1 else parts
    if not nouns or not nouns[-1]:
        nouns = [words(record_name) or words(endpoint.operation.operation_id) or ("records",)]
    last = nouns[-1]
    while len(last) > 1 and last[-1] in ACTIONS:
        last = last[:-1]
    proposals = ["_".join((*last[:-1], plural(last[-1])))]
    prefix: tuple[str, ...] = ()
    for before in reversed(nouns[:-1]):
        prefix = (*(singular(word) for word in before), *prefix)
        proposals.append("_".join(prefix) + "_" + proposals[0])
    if actions:
        proposals.append(f"{proposals[0]}_{'_'.join(actions[0])}")
    if endpoint.operation.operation_id:
        proposals.append("_".join(words(endpoint.operation.operation_id)))
    if endpoint.variables:
        proposals.append(f"{proposals[0]}_by_{'_'.join(words(endpoint.variables[-1]))}")
    return [name for proposal in proposals if (name := _clean(proposal))]


def meaningful(endpoint: Endpoint) -> list[str]:
    """Static segments without versions and plumbing; RPC paths (``conversations.list``) split at the dot."""
    parts = [piece for segment in endpoint.static_segments for piece in segment.split(".")]
    kept = [part for part in parts if not VERSION.fullmatch(part.lower()) and part.lower() not in PLUMBING]
    return kept or parts[-1:]


def _clean(name: str) -> str:
    ascii_name = re.sub(r"[^a-z0-9_]+", "_", name).strip("_")[:MAX_LENGTH].rstrip("_")
    return f"n{ascii_name}" if ascii_name[:1].isdigit() else ascii_name


def _free(proposals: list[str], taken: set[str]) -> str:
    for name in proposals:
        if name not in taken:
            return name
    stem = (proposals or ["records"])[0][: MAX_LENGTH - 4]
    return next(f"{stem}_{number}" for number in range(2, len(taken) + 3) if f"{stem}_{number}" not in taken)


def record_noun(endpoint: Endpoint, selector_name: str) -> tuple[str, ...]:
    """What one record is called: the singular of the resource, or of the member that holds the records."""
    parts = [words(segment) for segment in meaningful(endpoint)]
    while len(parts) > 1 and set(parts[-1]) <= ACTIONS:
        parts = parts[:-1]
    last = parts[-1] if parts else ()
    if last and (set(last) <= ACTIONS or not is_plural(last[-1])) and selector_name:
        named = words(selector_name)
        if named and is_plural(named[-1]) and not set(named) & {"data", "items", "results", "values", "records"}:
            last = named
    if len(last) > 1 and last[-1] == "list":
        last = last[:-1]  # ``calendarList`` holds calendars
    return tuple(singular(word) for word in last)
