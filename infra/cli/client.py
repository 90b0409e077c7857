"""The gateway's REST API, as the command line uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel

from contracts.envelope import Envelope
from contracts.errors import Permanent, Rejected
from contracts.events import FINAL

RECONNECT_S = (0.1, 0.2, 0.5, *(1.0,) * 30)
"""Waits between two attempts to take a live stream up again; a gateway that was killed is back within these."""
CHUNK_BYTES = 1024 * 1024
TRANSFER_S = 600.0
"""The longest silence of the gateway while a pipeline travels: it checks and stores all of it before it answers."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Message:
    """One event of the live stream: a fact, or what an agent says that it is doing."""

    fact: Envelope | None = None
    service: str = ""
    progress: str = ""


class Gateway:
    """A client of the gateway at ``url``. Close it with ``async with``."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx2.AsyncClient(base_url=self.url, timeout=30)

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def answers(self, *, in_trouble: bool = False) -> bool:
        """Whether a gateway of ours listens there and is ready; ``in_trouble``: or says why it is not."""
        try:
            response = await self._http.get("/readyz", timeout=2)
        except httpx2.HTTPError:
            return False
        return response.status_code in ((200, 503) if in_trouble else (200,))

    async def generate(
        self,
        name: str,
        *,
        document: Path | None,
        spec_url: str | None,
        engine: str,
        answers: Path | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """``POST /generate``; returns its answer (``pipeline_id``, ``links``). ``answers``: a HAR file. ``policy``:
        those of its fields that are not to be the default.

        Raises:
            Rejected: the gateway's problem, in its words.
        """
        fields = {"connector_name": name, "connector_type": "source", "engine": engine}
        wanted = dict(policy or {})
        if spec_url is not None:
            fields["spec_url"] = spec_url
        given = {"document": document, "answers": answers}
        files = {part: (path.name, path.read_bytes()) for part, path in given.items() if path is not None}
        if files:
            form = {**fields, "policy": json.dumps(wanted)}
            return _answer(await self._http.post("/generate", data=form, files=files))
        return _answer(await self._http.post("/generate", json={**fields, "policy": wanted}))

    async def read(self, path: str, model: type[M], **given: object) -> M:
        """``GET path`` as a ``model``; of ``given``, parameters that are ``None`` are left out.

        Raises:
            Rejected: the gateway's problem, in its words.
            Permanent: the gateway does not answer.
        """
        return model.model_validate_json(await self.content(path, **given))

    async def content(self, path: str, **given: object) -> bytes:
        """``GET path`` as it is; see `read`."""
        params = {name: str(value) for name, value in given.items() if value is not None}
        try:
            response = await self._http.get(path, params=params, follow_redirects=True)
        except httpx2.TransportError as error:
            raise Permanent(f"the gateway does not answer: {error!r}", where=self.url) from error
        if response.status_code >= 400:
            _answer(response)
        return response.content

    async def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """``POST path``; returns the answer.

        Raises:
            Rejected: the gateway's problem, in its words.
            Permanent: the gateway does not answer.
        """
        try:
            return _answer(await self._http.post(path, json=body))
        except httpx2.TransportError as error:
            raise Permanent(f"the gateway does not answer: {error!r}", where=self.url) from error

    async def ask(self, path: str) -> dict[str, Any]:
        """``GET path``, the JSON object in the answer; see `read`."""
        found: dict[str, Any] = json.loads(await self.content(path))
        return found

    async def chunks(self, path: str) -> AsyncIterator[bytes]:
        """``GET path``, a part at a time.

        Raises:
            Rejected: the gateway's problem, in its words.
            Permanent: the gateway does not answer, or broke off.
        """
        try:
            async with self._http.stream("GET", path, timeout=httpx2.Timeout(10, read=TRANSFER_S)) as response:
                if response.status_code >= 400:
                    await response.aread()
                    _answer(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx2.TransportError as error:
            raise Permanent(f"the transfer was broken off: {error!r}", where=self.url) from error

    async def upload(self, path: str, source: Path, media_type: str) -> dict[str, Any]:
        """``POST path`` with a file as the body; returns the answer. See `post`."""

        async def content() -> AsyncIterator[bytes]:
            with source.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    yield chunk

        headers = {"Content-Type": media_type, "Content-Length": str(source.stat().st_size)}
        timeout = httpx2.Timeout(10, read=TRANSFER_S)
        try:
            return _answer(await self._http.post(path, content=content(), headers=headers, timeout=timeout))
        except httpx2.TransportError as error:
            raise Permanent(f"the transfer was broken off: {error!r}", where=self.url) from error

    async def follow(self, live: str) -> AsyncIterator[Message]:
        """Everything that happens in a pipeline, from its first fact to its last.

        ``live`` is the link of its event stream. Where it ends too early, because the gateway was restarted, it is
        taken up again.

        Raises:
            Rejected: the gateway's problem, in its words.
            Permanent: the gateway stays away.
        """
        last: str | None = None
        failures = 0
        while failures < len(RECONNECT_S):
            headers = {"Last-Event-ID": last} if last else {}
            try:
                async with self._http.stream(
                    "GET", live, headers=headers, timeout=httpx2.Timeout(10, read=60)
                ) as answer:
                    if await _has_nothing_more(answer):
                        return
                    async for event, id, data in _events(answer):
                        failures = 0
                        last = id or last
                        if message := _message(event, data):
                            yield message
                            if message.fact is not None and message.fact.type in FINAL:
                                return
            except httpx2.TransportError:
                pass  # killed in the middle, or not started again yet
            await asyncio.sleep(RECONNECT_S[failures])
            failures += 1
        raise Permanent("the gateway does not answer any more", where=self.url)


async def _has_nothing_more(answer: httpx2.Response) -> bool:
    """204: the pipeline has ended, and its last fact was seen. 5xx: the gateway is not ready yet, no event comes.

    Raises:
        Rejected: a problem that waiting does not mend.
    """
    if 400 <= answer.status_code < 500:
        await answer.aread()
        _answer(answer)
    return answer.status_code == 204


def _message(event: str, data: str) -> Message | None:
    if event == "progress":
        body = json.loads(data)
        return Message(service=body.get("service", ""), progress=body.get("message", ""))
    return Message(fact=Envelope.decode(data.encode())) if event == "fact" else None


async def _events(answer: httpx2.Response) -> AsyncIterator[tuple[str, str, str]]:
    """(event, id, data) of a text/event-stream (WHATWG HTML, section 9.2.6)."""
    data: list[str] = []
    event, id = "message", ""
    async for line in answer.aiter_lines():
        if not line:
            if data:
                yield event, id, "\n".join(data)
            event, id, data = "message", "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event = value
        elif field == "id":
            id = value
        elif field == "data":
            data.append(value)


def _answer(response: httpx2.Response) -> dict[str, Any]:
    if response.status_code < 400:
        body: dict[str, Any] = response.json()
        return body
    try:
        problem = response.json()
        detail = problem.get("detail") or problem.get("title") or response.text
    except (json.JSONDecodeError, httpx2.ResponseNotRead):
        detail = f"the gateway answered {response.status_code}"
    raise Rejected(str(detail), where=f"{response.request.method} {response.request.url}")
