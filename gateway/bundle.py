"""Reads the file of an exported pipeline (`contracts.exchange`). Whoever made it may be hostile: all of it is
checked before any of it is used, in bounded memory; nothing is ever unpacked under a name from the file.

All of it blocks; run it in threads.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from pydantic import ValidationError

from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, TreeManifest, references
from contracts.envelope import Envelope, UnknownFact
from contracts.errors import Rejected
from contracts.events import PipelineForked, PipelineSubmitted
from contracts.exchange import (
    BLOBS,
    FACTS,
    FORMAT,
    MANIFEST,
    MAX_BLOB_BYTES,
    MAX_BLOBS,
    MAX_CONTENT_BYTES,
    MAX_FACT_BYTES,
    MAX_FACTS,
    MAX_MANIFEST_BYTES,
    Manifest,
)
from contracts.lineage import forked

_NAMES = re.compile(rf"{re.escape(FACTS)}|{re.escape(MANIFEST)}|{re.escape(BLOBS)}[0-9a-f]{{64}}")
_TOKEN = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
"""Ids become headers of the bus: no line breaks."""

_END = struct.Struct("<4s4H2LH")
"""The end of a zip's directory (APPNOTE 4.3.16): the 6th field is the directory's size in bytes."""

_MAX_DIRECTORY_BYTES = (MAX_BLOBS + 2) * 256
_ZIP64_LOCATOR_BYTES = 20
_CHUNK = 256 * 1024
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeDecodeError)

Refs = dict[str, ArtifactRef]
"""By hash."""


class Bundle:
    """A checked file. ``artifacts`` are in it, by hash; ``manifest`` is true of it."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest, artifacts: Refs) -> None:
        self.manifest = manifest
        self.artifacts = artifacts
        self._archive = archive

    def facts(self) -> Iterator[Envelope]:
        """All facts, oldest ancestor first."""
        return (envelope for _, envelope in _facts(self._archive))

    def content(self, sha256: str) -> bytes:
        """Of one of the ``artifacts``."""
        return self._archive.read(BLOBS + sha256)


def read_bundle(file: IO[bytes]) -> Bundle:
    """Check a file and take it for what it is; it must stay open as long as the bundle is used.

    Raises:
        Rejected: it is no such file, is damaged, too large, contradicts itself, or is of a newer version.
    """
    with _told():
        _check_directory(file)
        archive = zipfile.ZipFile(file)
        _check_entries(archive)
        manifest = _manifest(archive)
        named = _check_facts(archive, manifest)
        return Bundle(archive, manifest, _check_blobs(archive, manifest, named))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise _bad(f"it is no zip file, or a damaged or cut off one ({error})") from None


def _bad(why: str) -> Rejected:
    return Rejected(f"this is no exported pipeline: {why}")


def _check_directory(file: IO[bytes]) -> None:
    """The directory is read into memory as a whole, so its size is looked at first. Ours has no comment."""
    size = file.seek(0, 2)
    tail_bytes = _END.size + _ZIP64_LOCATOR_BYTES
    file.seek(max(0, size - tail_bytes))
    tail = file.read()
    file.seek(0)
    if len(tail) < _END.size:
        raise _bad("it is too short")
    signature, *_, directory_bytes, _, comment_bytes = _END.unpack(tail[-_END.size :])
    if signature != b"PK\x05\x06" or comment_bytes:
        raise _bad("it is no zip file, or was cut off")
    if directory_bytes > _MAX_DIRECTORY_BYTES or tail.startswith(b"PK\x06\x07"):
        raise _bad(f"it has more than {MAX_BLOBS:,} entries")


def _check_entries(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise _bad("it has an entry twice")
    for entry in entries:
        if not _NAMES.fullmatch(entry.filename):
            raise _bad(f"it has an entry called {entry.filename[:100]!r}")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _bad(f"{entry.filename} is encrypted, or packed by another method than deflate")
        if entry.header_offset < 0:
            raise _bad("it was cut off at its beginning")
        if entry.filename.startswith(BLOBS) and entry.file_size > MAX_BLOB_BYTES:
            raise _bad(f"{entry.filename} has more than {MAX_BLOB_BYTES:,} bytes")
    if sum(entry.file_size for entry in entries) > MAX_CONTENT_BYTES:
        raise _bad(f"it holds more than {MAX_CONTENT_BYTES:,} bytes")
    if lacking := {FACTS, MANIFEST} - set(names):
        raise _bad(f"it has no {min(lacking)}")


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    with archive.open(MANIFEST) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise _bad(f"{MANIFEST} has more than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _bad(f"{MANIFEST} cannot be read: {error.errors()[0]['msg']}") from None
    if manifest.format != FORMAT:
        raise Rejected(f"the file has format {manifest.format}, this stack reads format {FORMAT}: update the older")
    if len({travelling.id for travelling in manifest.pipelines}) != len(manifest.pipelines):
        raise _bad(f"{MANIFEST} names a pipeline twice")
    return manifest


# --- facts --------------------------------------------------------------------------------------


def _facts(archive: zipfile.ZipFile) -> Iterator[tuple[int, Envelope]]:
    """Line number and envelope."""
    with archive.open(FACTS) as file:
        for number in range(1, MAX_FACTS + 2):
            line = file.readline(MAX_FACT_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_FACT_BYTES or number > MAX_FACTS:
                raise _bad(f"line {number} of {FACTS} is too long, or there are more than {MAX_FACTS:,}")
            try:
                yield number, Envelope.decode(line)
            except ValidationError as error:
                raise _bad(f"line {number} of {FACTS} is no fact: {error.errors()[0]['msg']}") from None


def _check_facts(archive: zipfile.ZipFile, manifest: Manifest) -> Refs:
    """What the facts name, by hash."""
    lengths: dict[str, int] = {}
    ids: set[str] = set()
    named: Refs = {}
    expected = iter([travelling.id for travelling in manifest.pipelines for _ in range(travelling.facts)])
    own = 0
    for number, envelope in _facts(archive):
        where = f"line {number} of {FACTS}"
        if envelope.pipeline != next(expected, None):
            raise _bad(f"{where} is of another pipeline than {MANIFEST} says")
        own = own + 1 if envelope.pipeline in lengths else 1
        _check_fact(envelope, where, begins=own == 1)
        if own == 1:
            lengths[envelope.pipeline] = _shared(envelope, lengths, where)
        lengths[envelope.pipeline] += 1
        if envelope.id in ids:
            raise _bad(f"{where} has the id of another fact")
        ids.add(envelope.id)
        named |= {ref.sha256: ref for ref in references(envelope.data)}
        _check_count(named)
    if next(expected, None) is not None or manifest.pipelines[-1].id != manifest.pipeline:
        raise _bad(f"{FACTS} has fewer facts than {MANIFEST} says")
    return named


def _check_fact(envelope: Envelope, where: str, *, begins: bool) -> None:
    for token in (envelope.id, envelope.source, envelope.causation or "-"):
        if not _TOKEN.fullmatch(token):
            raise _bad(f"{where} has an id or a source that nobody of ours writes")
    if envelope.imported:
        raise _bad(f"{where} is marked as imported")
    try:
        fact = envelope.fact()
    except ValidationError as error:
        raise _bad(f"{where} is no {envelope.type}: {error.errors()[0]['msg']}") from None
    except UnknownFact:
        newer = f"{where} is a {envelope.type[:100]} of version {envelope.dataversion}"
        raise Rejected(f"{newer}, which this stack does not know: the file was made by a newer one") from None
    if begins and not isinstance(fact, (PipelineSubmitted, PipelineForked)):
        raise _bad(f"{where} begins a pipeline with {envelope.type}")


def _shared(first: Envelope, lengths: dict[str, int], where: str) -> int:
    """How many facts the pipeline has from its parent, which comes before it."""
    fork = forked(first)
    if fork is None:
        return 0
    if fork.parent not in lengths:
        raise _bad(f"{where} forks a pipeline that does not come before it")
    if fork.at > lengths[fork.parent]:
        raise _bad(f"{where} shares {fork.at} facts of a pipeline that has {lengths[fork.parent]}")
    return fork.at


# --- artifacts ----------------------------------------------------------------------------------


def _check_blobs(archive: zipfile.ZipFile, manifest: Manifest, named: Refs) -> Refs:
    """The artifacts that are there: each is what the facts say, none is there that nothing names."""
    there = {name.removeprefix(BLOBS) for name in archive.namelist() if name.startswith(BLOBS)}
    for ref in [ref for ref in named.values() if ref.media_type == TREE_MEDIA_TYPE and ref.sha256 in there]:
        if ref.size > MAX_MANIFEST_BYTES:
            raise _bad(f"the tree {ref.sha256} has more than {MAX_MANIFEST_BYTES:,} bytes")
        _check_blob(archive, ref)
        try:
            tree = TreeManifest.model_validate_json(archive.read(BLOBS + ref.sha256))
        except ValidationError:
            raise _bad(f"the tree {ref.sha256} cannot be read") from None
        for blob in tree.blobs():
            named.setdefault(blob.sha256, blob)
        _check_count(named)
    if unnamed := there - named.keys():
        raise _bad(f"no fact names {BLOBS}{min(unnamed)}")
    if lacking := named.keys() - there - set(manifest.missing):
        raise _bad(f"{BLOBS}{min(lacking)} is not in it")
    for ref in named.values():
        if ref.sha256 in there and ref.media_type != TREE_MEDIA_TYPE:
            _check_blob(archive, ref)
    return {sha256: named[sha256] for sha256 in sorted(there)}


def _check_count(named: Refs) -> None:
    if len(named) > MAX_BLOBS:
        raise _bad(f"its facts name more than {MAX_BLOBS:,} artifacts")


def _check_blob(archive: zipfile.ZipFile, ref: ArtifactRef) -> None:
    digest, size = hashlib.sha256(), 0
    with archive.open(BLOBS + ref.sha256) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    if (digest.hexdigest(), size) != (ref.sha256, ref.size):
        raise _bad(f"{BLOBS}{ref.sha256} is not what the facts name")
