"""API documents: load, normalise, follow references, flatten schemas, fetch. Shared by research and fixtures;
what they infer from a document is not."""

from __future__ import annotations

from infra.runtime.documents.bundle import BundleLimits, Fetch, bundle
from infra.runtime.documents.document import Document, Operation, Server, media_of, pointer
from infra.runtime.documents.fetch import FetchPolicy, fetch
from infra.runtime.documents.load import load
from infra.runtime.documents.parse import ParseLimits, parse

__all__ = [
    "BundleLimits",
    "Document",
    "Fetch",
    "FetchPolicy",
    "Operation",
    "ParseLimits",
    "Server",
    "bundle",
    "fetch",
    "load",
    "media_of",
    "parse",
    "pointer",
]
