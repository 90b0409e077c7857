"""Pulls what a document references elsewhere into the document itself, so that it can be kept as one artifact.

Pure: whoever calls fetches what is missing (see `web.fetch`) and calls again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import orjson

from contracts.errors import Rejected
from infra.runtime.documents.document import Document, pointer
from infra.runtime.documents.parse import ParseLimits, parse

EXTERNAL = "x-external"
"""Root member of a bundled document: the external documents, by number."""


class Bundled(NamedTuple):
    """``missing`` are URLs to fetch for a next round; ``failed`` says which references stay dangling, and why, each
    as ``"<reference>: <reason>"``."""

    document: Document
    missing: tuple[str, ...]
    failed: tuple[str, ...]


def bundle(document: Document, *, base_url: str | None, contents: Mapping[str, bytes | str]) -> Bundled:
    """The document with its external references made local, as far as ``contents`` goes: URL -> what was fetched
    from there, or (a string) why it could not be. ``base_url`` is where the document came from; relative references
    need it. The given document is left unchanged; without external references it is the result itself."""
    if not _references(document.raw):
        return Bundled(document, (), ())
    work = _Bundling(base_url, contents)
    work.collect(document.raw, base_url)
    if work.missing:
        return Bundled(document, tuple(work.missing), ())
    raw = work.rewritten(document.raw, base_url, None)
    raw[EXTERNAL] = {
        str(number): work.rewritten(work.parsed[url], url, number) for url, number in work.numbers.items()
    }
    result = Document(raw, where=document.where, declared_version=document.declared_version)
    return Bundled(result, (), tuple(f"{url}: {reason}" for url, reason in work.failed.items()))


def encode(document: Document) -> bytes:
    """The document, in the shape of OpenAPI 3.x, as JSON."""
    return orjson.dumps(document.raw)


class _Bundling:
    def __init__(self, base_url: str | None, contents: Mapping[str, bytes | str]) -> None:
        self.numbers: dict[str, int] = {}
        self.parsed: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self.missing: dict[str, None] = {}
        self._base_url = base_url
        self._contents = contents

    def collect(self, root: Any, base: str | None) -> None:
        """Read what ``root`` references, then what that references, breadth first."""
        waiting = [(root, base)]
        while waiting:
            node, at = waiting.pop(0)
            for reference in sorted(_references(node)):
                url = self._url(reference, at)
                if url is None or url in self.parsed or url in self.failed or url == self._base_url:
                    continue
                if (content := self._read(url)) is not None:
                    self.numbers[url] = len(self.numbers)
                    self.parsed[url] = content
                    waiting.append((content, url))

    def _read(self, url: str) -> Any:
        content = self._contents.get(url)
        if content is None:
            self.missing[url] = None
            return None
        if isinstance(content, str):
            self.failed[url] = content
            return None
        try:
            return parse(content, where=url, limits=ParseLimits(bytes=len(content)))
        except Rejected as error:
            self.failed[url] = error.what
            return None

    def _url(self, reference: str, base: str | None) -> str | None:
        """The document that an external reference is in; recorded as failed if it is no web address."""
        document = reference.partition("#")[0]
        try:
            joined = urljoin(base, document) if base else document
            scheme = urlsplit(joined).scheme
        except ValueError as error:
            self.failed[document] = str(error)
            return None
        if scheme in ("http", "https"):
            return joined
        relative = "a relative reference, and the document's own URL is not known"
        self.failed[document] = "only http and https are followed" if scheme else relative
        return None

    def rewritten(self, node: Any, base: str | None, number: int | None) -> Any:
        """A copy whose references are local to the bundle where their target is known. Depth is bounded by the
        parser."""
        if isinstance(node, list):
            return [self.rewritten(item, base, number) for item in node]
        if not isinstance(node, dict):
            return node
        out = {key: self.rewritten(value, base, number) for key, value in node.items()}
        if isinstance(reference := node.get("$ref"), str):
            out["$ref"] = self._local(reference, base, number)
        return out

    def _local(self, reference: str, base: str | None, number: int | None) -> str:
        document, _, fragment = reference.partition("#")
        home = number
        if document:
            url = document if document in self.failed else urljoin(base, document) if base else document
            if url != self._base_url and url not in self.numbers:
                return reference
            home = self.numbers.get(url)
        return "#" + (fragment if home is None else pointer(EXTERNAL, home) + fragment)


def _references(node: Any) -> set[str]:
    """The references in ``node`` that lead out of the document."""
    found: set[str] = set()
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            reference = item.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#"):
                found.add(reference)
            stack.extend(value for value in item.values() if isinstance(value, (dict, list)))
        elif isinstance(item, list):
            stack.extend(value for value in item if isinstance(value, (dict, list)))
    return found
