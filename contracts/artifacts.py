"""References to content that is too large for a fact: a document, a report, a source tree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError

from contracts.base import Frozen, Sha256

TREE_MEDIA_TYPE = "application/vnd.agentic-connectors.tree+json"
JSON_MEDIA_TYPE = "application/json"

Tree = Mapping[str, bytes]
"""A source tree in memory: POSIX path relative to its root -> content."""


class ArtifactRef(Frozen):
    """Content addressed by its hash; ``size`` in bytes."""

    sha256: Sha256
    media_type: str
    size: int = Field(ge=0)

    @classmethod
    def of(cls, content: bytes, media_type: str) -> ArtifactRef:
        return cls(sha256=hashlib.sha256(content).hexdigest(), media_type=media_type, size=len(content))


def references(data: Any) -> Iterator[ArtifactRef]:
    """Every `ArtifactRef` in a fact's data, found by its shape, so that facts of newer versions are covered too."""
    stack = [data]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            if node.keys() >= {"sha256", "media_type", "size"}:
                try:
                    yield ArtifactRef.model_validate(node)
                except ValidationError:
                    stack.extend(node.values())
            else:
                stack.extend(node.values())


class TreeEntry(Frozen):
    """One file of a tree."""

    path: str
    blob: ArtifactRef


class TreeManifest(Frozen):
    """A source tree as a sorted list of blobs; the hash of its JSON is the hash of the tree."""

    files: tuple[TreeEntry, ...]

    @classmethod
    def of(cls, tree: Tree) -> TreeManifest:
        files = (
            TreeEntry(path=path, blob=ArtifactRef.of(content, "application/octet-stream"))
            for path, content in sorted(tree.items())
        )
        return cls(files=tuple(files))

    def encode(self) -> bytes:
        return self.model_dump_json().encode()

    @property
    def ref(self) -> ArtifactRef:
        return ArtifactRef.of(self.encode(), TREE_MEDIA_TYPE)

    def blobs(self) -> Iterator[ArtifactRef]:
        return (entry.blob for entry in self.files)
