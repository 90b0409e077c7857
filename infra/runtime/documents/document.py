"""`Document` and `Operation`: typed access to an API's description. References are followed when asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

Node = Mapping[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MAX_REFERENCES = 50
_MAX_EXAMPLE_TEXT = 200_000


def pointer(*keys: str | int) -> str:
    """A JSON pointer (RFC 6901) from the root of the document: ``pointer("paths", "/a")`` is ``/paths/~1a``."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


class Server(NamedTuple):
    """One entry of ``servers``. ``url`` has no trailing slash and may hold ``{variables}`` or be relative;
    ``variables`` maps a name to its ``default``, ``enum``, ``description``. ``pointer`` says where it is."""

    url: str
    description: str
    variables: Mapping[str, Node]
    pointer: str


@dataclass(frozen=True)
class Operation:
    """One method of one path, with the references of its first level followed.

    ``parameters`` are Parameter Objects (path and operation merged, the operation's win), in the document's order;
    an entry without a usable ``name`` and ``in`` is left out. ``parameter_pointers`` are theirs, in the same order.
    ``request_body`` and each of ``responses`` (by status, e.g. ``"200"``, ``"default"``) are their objects.
    ``security`` is the effective requirement: alternatives, each mapping schemes to scopes; ``None`` where neither
    operation nor document has one.
    """

    method: str
    path: str
    pointer: str
    operation_id: str
    summary: str
    description: str
    tags: tuple[str, ...]
    parameters: tuple[Node, ...]
    parameter_pointers: tuple[str, ...]
    request_body: Node | None
    responses: Mapping[str, Node]
    security: tuple[Mapping[str, Any], ...] | None
    raw: Node = field(repr=False)

    @property
    def key(self) -> str:
        """``"GET /contacts"``: how an endpoint is named everywhere."""
        return f"{self.method.upper()} {self.path}"

    @property
    def success(self) -> tuple[str, Node] | None:
        """Status and object of the response that means success: the lowest 2xx, then ``2XX``, then ``default``."""
        exact = sorted(status for status in self.responses if len(status) == 3 and status.startswith("2"))
        for status in (*exact, "default"):
            if status in self.responses:
                return status, self.responses[status]
        return None


class Document:
    """A loaded document in the shape of OpenAPI 3.x. Treat everything in it as immutable.

    ``raw`` is the (normalised) JSON value; ``declared_version`` what the original said, e.g. ``"2.0"``; ``where``
    its origin; ``dangling`` collects the references that were followed in vain.
    """

    def __init__(self, raw: dict[str, Any], *, where: str, declared_version: str) -> None:
        self.raw = raw
        self.where = where
        self.declared_version = declared_version
        self.dangling: set[str] = set()
        self._targets: dict[str, Any] = {}

    @property
    def info(self) -> Node:
        return as_dict(self.raw.get("info"))

    @property
    def title(self) -> str:
        return as_text(self.info.get("title"))

    @property
    def version(self) -> str:
        """The API's own version."""
        return as_text(self.info.get("version"))

    @property
    def description(self) -> str:
        return as_text(self.info.get("description"))

    # --- references ---------------------------------------------------------------------------

    def resolve(self, node: Any) -> Any:
        """``node`` itself, or what its ``$ref`` (or a chain of them) points to. A dangling or endless chain gives
        ``None`` and is recorded in ``dangling``."""
        reference = ""
        for _ in range(_MAX_REFERENCES):
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return node
            reference = node["$ref"]
            node = self.target(reference)
            if node is None:
                return None
        self.dangling.add(reference)
        return None

    def target(self, reference: str) -> Any:
        """What ``reference`` points to, one step; ``None`` if it is dangling. Other documents are out of reach: see
        `bundle`."""
        if reference in self._targets:
            return self._targets[reference]
        found = walk(self.raw, reference[1:]) if reference.startswith("#") else None
        if found is None:
            self.dangling.add(reference)
        self._targets[reference] = found
        return found

    def schema(self, node: Any, *, max_nodes: int = 1000, max_depth: int = 8) -> dict[str, Any]:
        """``node`` as self-contained JSON Schema (draft 7): no ``$ref``, ``allOf`` merged, ``nullable`` as a type
        list, recursion cut. About ``max_nodes`` sub-schemas and ``max_depth`` levels: what lies beyond is left open
        (its type only). See `infra.runtime.documents.flatten`."""
        from infra.runtime.documents.flatten import flatten

        return flatten(self, node, max_nodes=max_nodes, max_depth=max_depth)

    # --- parts --------------------------------------------------------------------------------

    def servers(self) -> tuple[Server, ...]:
        """The document's servers in its order; empty if it names none. Entries without a URL are left out."""
        found = []
        for index, item in enumerate(as_list(self.raw.get("servers"))):
            entry = as_dict(item)
            if isinstance(entry.get("url"), str) and entry["url"].strip():
                variables = {key: as_dict(value) for key, value in as_dict(entry.get("variables")).items()}
                url = entry["url"].strip().rstrip("/")
                found.append(Server(url, as_text(entry.get("description")), variables, pointer("servers", index)))
        return tuple(found)

    def security_schemes(self) -> dict[str, Node]:
        """The declared schemes by name, references followed."""
        declared = as_dict(as_dict(self.raw.get("components")).get("securitySchemes"))
        resolved = {name: self.resolve(item) for name, item in declared.items()}
        return {name: item for name, item in resolved.items() if isinstance(item, dict)}

    @cached_property
    def security(self) -> tuple[Mapping[str, Any], ...] | None:
        """The document's own security requirement; see `Operation.security`."""
        return _requirements(self.raw.get("security"))

    def operations(self) -> Iterator[Operation]:
        """All operations in the document's order. Paths that are not objects are passed over."""
        for path, entry in as_dict(self.raw.get("paths")).items():
            item = self.resolve(entry)
            if not isinstance(item, dict) or not path.startswith("/"):
                continue
            for method in METHODS:
                raw = item.get(method)
                if isinstance(raw, dict):
                    yield self._operation(path, method, item, raw)

    def _operation(self, path: str, method: str, item: Node, raw: Node) -> Operation:
        at = pointer("paths", path, method)
        parameters = {
            **self._parameters(item.get("parameters"), pointer("paths", path, "parameters")),
            **self._parameters(raw.get("parameters"), at + "/parameters"),
        }
        body = self.resolve(raw.get("requestBody"))
        responses = {status: self.resolve(entry) for status, entry in as_dict(raw.get("responses")).items()}
        own = _requirements(raw.get("security"))
        return Operation(
            method=method,
            path=path,
            pointer=at,
            operation_id=as_text(raw.get("operationId")),
            summary=as_text(raw.get("summary")),
            description=as_text(raw.get("description")),
            tags=tuple(tag for tag in as_list(raw.get("tags")) if isinstance(tag, str)),
            parameters=tuple(parameter for parameter, _ in parameters.values()),
            parameter_pointers=tuple(place for _, place in parameters.values()),
            request_body=body if isinstance(body, dict) else None,
            responses={status: entry for status, entry in responses.items() if isinstance(entry, dict)},
            security=self.security if own is None else own,
            raw=raw,
        )

    def _parameters(self, entries: Any, at: str) -> dict[tuple[str, str], tuple[Node, str]]:
        found: dict[tuple[str, str], tuple[Node, str]] = {}
        for index, entry in enumerate(as_list(entries)):
            parameter = self.resolve(entry)
            if isinstance(parameter, dict):
                name, location = parameter.get("name"), parameter.get("in")
                if isinstance(name, str) and name and isinstance(location, str):
                    found[name, location] = (parameter, f"{at}/{index}")
        return found


def media_of(
    document: Document, container: Node | None, *, kinds: tuple[str, ...] = ("json",)
) -> tuple[str, Node] | None:
    """Media type and Media Type Object of a response or request body: the first whose type contains one of
    ``kinds`` (``application/hal+json`` is JSON too), then ``*/*``; ``None`` if there is neither."""
    content = {name: document.resolve(entry) for name, entry in as_dict(as_dict(container).get("content")).items()}
    for kind in (*kinds, "*/*"):
        for name, entry in content.items():
            if kind in name.lower() and isinstance(entry, dict):
                return name, entry
    return None


def examples_of(document: Document, media: Node) -> Iterator[Any]:
    """The objects and lists that a Media Type Object shows as examples; also those that are written as text."""
    named = as_dict(media.get("examples"))
    entries = [as_dict(document.resolve(entry)).get("value") for entry in named.values()]
    for value in (media.get("example"), *entries):
        shown = _parsed(value) if isinstance(value, str) else value
        if isinstance(shown, (dict, list)) and shown:
            yield shown


def _parsed(text: str) -> Any:
    if len(text) > _MAX_EXAMPLE_TEXT or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def absolute_url(url: str, base: str | None) -> str | None:
    """``url`` made absolute against the URL of the document; ``None`` if neither is absolute, or it is no URL."""
    try:
        joined = urljoin(base, url) if base else url
        parts = urlsplit(joined)
    except ValueError:
        return None
    return joined if parts.scheme in ("http", "https") and parts.netloc else None


def walk(root: Any, fragment: str) -> Any:
    """What a JSON pointer in URI fragment form (RFC 6901, section 6) names; ``None`` if nothing."""
    if not fragment:
        return root
    if not fragment.startswith("/"):
        return None
    node = root
    for part in fragment[1:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node[key] if key in node else node.get(part)
        elif isinstance(node, list) and key.isdigit() and len(key) < 7 and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
        if node is None:
            return None
    return node


def _requirements(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(item for item in value if isinstance(item, dict))


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """A string or a number as text; anything else is empty."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
