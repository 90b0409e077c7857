"""The file in which a pipeline travels: a zip of `FACTS`, `BLOBS` and `MANIFEST`.

``facts.jsonl`` has an envelope a line: all facts of the pipeline's oldest ancestor, then of the next, its own last.
``blobs/<sha256>`` are the artifacts that they name and the files of those that are trees. ``manifest.json`` is
written last. Whoever reads one trusts nothing in it: sizes and counts are bounded, hashes are made again.
"""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from contracts.base import Frozen, PipelineId, Sha256

FORMAT = 1
MEDIA_TYPE = "application/zip"
FACTS = "facts.jsonl"
MANIFEST = "manifest.json"
BLOBS = "blobs/"

MIB = 1024 * 1024
MAX_PIPELINES = 100
MAX_FACTS = 200_000
MAX_FACT_BYTES = 1_000_000
MAX_BLOBS = 50_000
MAX_BLOB_BYTES = 64 * MIB
MAX_MANIFEST_BYTES = 8 * MIB
"""Of the file's own, and of each tree in it: 10,000 files."""
MAX_CONTENT_BYTES = 2048 * MIB
"""Of all that is in a file, unpacked."""


class Travelling(Frozen):
    """How many own facts of a pipeline are in the file."""

    id: PipelineId
    facts: int = Field(ge=1, le=MAX_FACTS)


class Manifest(Frozen):
    """``pipelines``: oldest ancestor first, ``pipeline`` last. ``missing``: artifacts that the facts name but that
    were lost where the file was made."""

    format: int
    pipeline: PipelineId
    pipelines: tuple[Travelling, ...] = Field(min_length=1, max_length=MAX_PIPELINES)
    missing: tuple[Sha256, ...] = Field(default=(), max_length=MAX_BLOBS)
    exported: AwareDatetime


class Imported(Frozen):
    """What came of an import: ``facts`` new ones in the log, of ``pipelines``; ``known`` were there already."""

    pipeline_id: PipelineId
    pipelines: tuple[PipelineId, ...]
    facts: int
    known: int
    artifacts: int
    missing: tuple[Sha256, ...] = ()
    links: dict[str, str] = {}
