"""Artifacts in the JetStream object store, in its public format (NATS ADR-20), so that any NATS tool reads them.

nats-py's own ``put`` and ``get`` are not used: a second put of a name purges the chunks under a reader's hands,
and each get makes a consumer. Here the metadata is written by compare-and-set (the first writer wins), chunks are
read by direct get, and every read has a time limit.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import nats.errors
from nats.aio.client import Client

from contracts.artifacts import ArtifactRef
from contracts.errors import Transient
from contracts.subjects import ARTIFACTS_BUCKET
from infra.runtime import clock
from infra.runtime.artifacts import DEFAULT_MAX_BYTES, StoredArtifacts
from infra.runtime.direct import DirectReader, Stored
from infra.runtime.log import PREVIOUS, WRONG_LAST_SEQUENCE

OBJECT_STREAM = f"OBJ_{ARTIFACTS_BUCKET}"
CHUNK_BYTES = 256 * 1024


class ObjectStoreArtifacts(StoredArtifacts):
    """The bucket ``ARTIFACTS``; an object's name is its hash."""

    def __init__(
        self, nc: Client, reader: DirectReader, *, timeout_s: float = 5.0, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        super().__init__(max_bytes=max_bytes)
        self._nc = nc
        self._reader = reader
        self._timeout_s = timeout_s

    async def has(self, sha256: str) -> bool:
        return _chunks_id(await self._meta(sha256)) is not None

    async def present(self, hashes: Sequence[str]) -> set[str]:
        """Those of ``hashes`` (at most 1,024) that the bucket has.

        Raises:
            StreamUnavailable: the bus did not answer.
        """
        found = await self._reader.newest(OBJECT_STREAM, [_meta_subject(sha256) for sha256 in hashes])
        return {json.loads(meta.data)["name"] for meta in found if _chunks_id(meta) is not None}

    async def _meta(self, sha256: str) -> Stored | None:
        return await self._reader.last(OBJECT_STREAM, _meta_subject(sha256))

    async def _read(self, ref: ArtifactRef) -> bytes | None:
        chunks_id = _chunks_id(await self._meta(ref.sha256))
        if chunks_id is None:
            return None
        chunks = await self._reader.since(OBJECT_STREAM, f"$O.{ARTIFACTS_BUCKET}.C.{chunks_id}")
        return b"".join(chunk.data for chunk in chunks)

    async def _write(self, sha256: str, content: bytes) -> None:
        """Chunks in order under an id of their own, then the metadata: nobody sees half an object.

        Of two writers the second's metadata is refused; its chunks stay unreferenced, and the content is there.
        """
        deleted = await self._meta(sha256)
        chunks_id = clock.new_id()
        starts = range(0, len(content), CHUNK_BYTES)
        for start in starts:
            await self._publish(f"$O.{ARTIFACTS_BUCKET}.C.{chunks_id}", content[start : start + CHUNK_BYTES], {})
        digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode()
        meta = {
            "name": sha256,
            "bucket": ARTIFACTS_BUCKET,
            "nuid": chunks_id,
            "size": len(content),
            "mtime": clock.now().isoformat(),
            "chunks": len(starts),
            "digest": f"SHA-256={digest}",
            "options": {"max_chunk_size": CHUNK_BYTES},
        }
        only_first = {PREVIOUS: str(deleted.sequence if deleted else 0)}
        await self._publish(_meta_subject(sha256), json.dumps(meta).encode(), only_first)

    async def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        try:
            reply = await self._nc.request(subject, payload, timeout=self._timeout_s, headers=headers or None)
        except (TimeoutError, nats.errors.Error) as error:
            raise Transient(f"the artifact store did not confirm a write: {error!r}", where=subject) from error
        refusal = json.loads(reply.data).get("error")
        if refusal and refusal.get("err_code") not in WRONG_LAST_SEQUENCE:
            raise Transient(f"the artifact store refused a write: {refusal.get('description')}", where=subject)


def _chunks_id(meta: Stored | None) -> str | None:
    """The id under which an object's chunks are stored, or None if there is no such object."""
    info = json.loads(meta.data) if meta else {"deleted": True}
    return None if info.get("deleted") else str(info["nuid"])


def _meta_subject(sha256: str) -> str:
    return f"$O.{ARTIFACTS_BUCKET}.M.{base64.urlsafe_b64encode(sha256.encode()).decode()}"
