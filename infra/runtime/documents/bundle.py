"""Pulls what a document references elsewhere into the document itself, so that it can be kept as one artifact."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import orjson

from contracts.errors import ConnectorsError, Rejected
from infra.runtime.documents.document import Document, pointer
from infra.runtime.documents.parse import ParseLimits, parse

Fetch = Callable[[str], Awaitable[bytes]]
"""``await fetch(url)``: bounded and guarded by its policy; raises `Transient` or `Rejected`."""

EXTERNAL = "x-external"
"""Root member of a bundled document: the external documents, by number."""


@dataclass(frozen=True)
class BundleLimits:
    """All external documents together; what lies beyond stays dangling."""

    documents: int = 50
    bytes: int = 50 * 1024 * 1024
    time_s: float = 30.0


async def bundle(
    document: Document, *, base_url: str | None, fetch: Fetch, limits: BundleLimits | None = None
) -> tuple[Document, tuple[str, ...]]:
    """The document with its external references made local, and those that could not be: each as
    ``"<url>: <reason>"``. ``base_url`` is where the document came from (relative references need it). The result's
    ``raw`` encodes to one self-contained JSON document (`encode`). The given document is left unchanged.
    """
    limits = limits or BundleLimits()
    if not _references(document.raw):
        return document, ()
    work = _Bundling(base_url, fetch, limits)
    try:
        async with asyncio.timeout(limits.time_s):
            await work.pull(document.raw, base_url)
    except TimeoutError:
        work.failed.setdefault("(the rest)", f"not fetched within {limits.time_s:g} s")
    raw = work.rewritten(document.raw, base_url, None)
    raw[EXTERNAL] = {
        str(number): work.rewritten(work.contents[url], url, number) for url, number in work.numbers.items()
    }
    result = Document(raw, where=document.where, declared_version=document.declared_version)
    return result, tuple(f"{url}: {reason}" for url, reason in work.failed.items())


def encode(document: Document) -> bytes:
    """The document as JSON."""
    return orjson.dumps(document.raw)


class _Bundling:
    def __init__(self, base_url: str | None, fetch: Fetch, limits: BundleLimits) -> None:
        self.base_url = base_url
        self.numbers: dict[str, int] = {}
        self.contents: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self._fetch = fetch
        self._limits = limits
        self._bytes_left = limits.bytes

    async def pull(self, root: Any, base: str | None) -> None:
        """Fetch what ``root`` references, then what that references, breadth first."""
        waiting = [(root, base)]
        while waiting:
            node, at = waiting.pop(0)
            for reference in sorted(_references(node)):
                url = self._url(reference, at)
                if url is None or url in self.contents or url in self.failed or url == self.base_url:
                    continue
                content = await self._get(url)
                if content is not None:
                    self.numbers[url] = len(self.numbers)
                    self.contents[url] = content
                    waiting.append((content, url))

    async def _get(self, url: str) -> Any:
        if len(self.contents) + len(self.failed) >= self._limits.documents:
            self.failed[url] = f"more than {self._limits.documents} external documents"
            return None
        try:
            content = await self._fetch(url)
            if len(content) > self._bytes_left:
                raise Rejected(f"external documents exceed {self._limits.bytes:,} bytes together")
            self._bytes_left -= len(content)
            return await asyncio.to_thread(parse, content, where=url, limits=ParseLimits(bytes=len(content)))
        except ConnectorsError as error:
            self.failed[url] = error.what
            return None

    def _url(self, reference: str, base: str | None) -> str | None:
        """The document that an external reference is in; recorded as failed if it is no web address."""
        document = urldefrag(reference).url
        joined = urljoin(base, document) if base else document
        if urlsplit(joined).scheme in ("http", "https"):
            return joined
        self.failed[document] = (
            "a relative reference, and the document's own URL is not known"
            if not urlsplit(joined).scheme
            else "only http and https are followed"
        )
        return None

    def rewritten(self, node: Any, base: str | None, number: int | None) -> Any:
        """A copy whose references are local to the bundle where their target was fetched. Depth is bounded by the
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
        document, fragment = urldefrag(reference)
        if not document:
            home = number
        else:
            url = urljoin(base, document) if base else document
            if url == self.base_url:
                home = None
            elif url in self.numbers:
                home = self.numbers[url]
            else:
                return reference
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
