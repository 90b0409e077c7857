"""API documents: load, normalise, follow references, flatten schemas, fetch. Shared by research and fixtures;
what they infer from a document is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.runtime.documents.bundle import Bundled, bundle, encode
from infra.runtime.documents.document import Document, Operation, Server, examples_of, media_of, pointer
from infra.runtime.documents.load import load
from infra.runtime.documents.parse import ParseLimits, parse

if TYPE_CHECKING:
    from infra.runtime.documents.web import FetchPolicy, fetch

__all__ = [
    "Bundled",
    "Document",
    "FetchPolicy",
    "Operation",
    "ParseLimits",
    "Server",
    "bundle",
    "encode",
    "examples_of",
    "fetch",
    "load",
    "media_of",
    "parse",
    "pointer",
]


def __getattr__(name: str) -> Any:
    """The HTTP client takes 150 ms to import: the child processes that only read documents do without it."""
    if name in ("FetchPolicy", "fetch"):
        from infra.runtime.documents import web

        return getattr(web, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
