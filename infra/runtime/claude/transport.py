"""The HTTP transport below the SDK: each turn is answered from the ledger, or paid, kept, and only then handed on.

So the SDK's tool runner, retries and parsing run as they are. A reply that was cut off, or ended in an error event,
is a connection that failed: the SDK tries again by itself.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx2
from anthropic import AnthropicError

from contracts import subjects
from contracts.errors import ConnectorsError
from contracts.turns import Reply
from infra.runtime.agent import Artifacts, Progress
from infra.runtime.claude import genai
from infra.runtime.claude.accounts import Till
from infra.runtime.claude.ledger import Turns
from infra.runtime.claude.meter import Meter
from infra.runtime.claude.prices import Prices, cost, most
from infra.runtime.claude.stream import Received
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.spans import span

EVENT_STREAM = "text/event-stream"
PROGRESS_EVERY_S = 1.0
_MAX_REPLY_BYTES = 32 * 1024 * 1024


class Stopped(AnthropicError):
    """The SDK passes its own errors on and does not try again; what happened is `LedgerTransport.failure`."""


@dataclass(frozen=True)
class Owner:
    """Whose turns these are: names for the ledger's entries."""

    pipeline: str
    task: str
    ledger: str
    service: str


@dataclass
class LedgerTransport(httpx2.AsyncBaseTransport):
    """``upstream`` sends to ``model`` what the ledger cannot answer. ``request`` is the hash of the last request
    that was answered, ``failure`` what made this stop: the caller raises it."""

    upstream: httpx2.AsyncClient
    owner: Owner
    turns: Turns
    artifacts: Artifacts
    till: Till
    prices: Prices
    progress: Progress
    model: str
    request: str = ""
    turn: int = 0
    failure: ConnectorsError | None = field(default=None)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request of the SDK.

        Raises:
            Stopped: the budget is reached, or the ledger failed (`failure` says which).
            httpx2.TransportError: the reply did not come to its end; the SDK tries again.
        """
        body = await request.aread()
        key = request_hash(body)
        try:
            answer = await self._kept(key) or await self._asked(request, body, key)
        except ConnectorsError as error:
            self.failure = error
            raise Stopped(error.what) from error
        if answer.status_code == httpx2.codes.OK:
            self.request = key
            self.turn += 1
        return answer

    async def aclose(self) -> None:
        await self.upstream.aclose()

    async def _kept(self, key: str) -> httpx2.Response | None:
        """The recorded reply. A worker that died before it settled left that to do."""
        known = await self.turns.get(subjects.turn(self.owner.ledger, key))
        if known is None:
            return None
        reply = Reply.model_validate_json(known)
        await self.till.settle(reply)
        metrics.MODEL_REPLAYED.labels(self.owner.service, self.model).inc()
        return _response(await self.artifacts.get(reply.body))

    async def _asked(self, request: httpx2.Request, body: bytes, key: str) -> httpx2.Response:
        await self.till.reserve(key, most(body, self.prices))
        asked = json.loads(body)
        attributes = genai.request(request.url, asked["model"], asked["max_tokens"])
        with span(f"chat {asked['model']}", kind="client", attributes=attributes) as told:
            meter = Meter(self.owner.service, self.model, told)
            try:
                response = await self.upstream.send(request, stream=True)
            except httpx2.TransportError:
                meter.ended("unreachable")
                await self.till.release(key)
                raise
            if response.status_code != httpx2.codes.OK:
                meter.ended(str(response.status_code))
                await self.till.release(key)
                return response
            received = await self._read(response)
            reply = await self._reply(received, key, asked["model"], meter.seconds)
            if why := received.why_not:
                meter.ended("cut_off")
                if received.started:
                    await self.till.pay(reply)
                    meter.paid(reply)
                await self.till.release(key)
                raise httpx2.RemoteProtocolError(why, request=request)
            meter.ended("ok")
            meter.paid(reply)
            return await self._keep(reply, bytes(received.body))

    async def _read(self, response: httpx2.Response) -> Received:
        """The whole stream, or as much of it as came."""
        received, tell = Received(), _throttled(self.progress)
        try:
            async for chunk in response.aiter_bytes():
                received.feed(chunk)
                if received.error is not None or len(received.body) > _MAX_REPLY_BYTES:
                    break
                await tell(_doing(received))
        except httpx2.TransportError as error:
            received.error = f"the connection failed: {error!r}"
        finally:
            await response.aclose()
        return received

    async def _reply(self, received: Received, key: str, model: str, duration_s: float) -> Reply:
        usage = received.usage
        usd, priced = cost(usage, model, self.prices)
        return Reply(
            pipeline=self.owner.pipeline,
            task=self.owner.task,
            service=self.owner.service,
            model=received.model or model,
            turn=self.turn + 1,
            request=key,
            body=await self.artifacts.put(bytes(received.body), EVENT_STREAM),
            usage=usage,
            cost_usd=usd,
            priced=priced,
            duration_s=duration_s,
        )

    async def _keep(self, reply: Reply, body: bytes) -> httpx2.Response:
        """Write the reply down, then settle. A rival on the same task that was first is heard instead."""
        written = reply.model_dump_json().encode()
        first = await self.turns.put(subjects.turn(self.owner.ledger, reply.request), written)
        if first == written:
            await self.till.settle(reply)
            return _response(body)
        await self.till.pay(reply)
        heard = Reply.model_validate_json(first)
        await self.till.settle(heard)  # both had reserved under the same key; it may not have come to that
        return _response(await self.artifacts.get(heard.body))


def request_hash(body: bytes) -> str:
    """SHA-256 of the request's JSON in one spelling: keys sorted, no spaces."""
    canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _response(body: bytes) -> httpx2.Response:
    return httpx2.Response(
        httpx2.codes.OK, headers={"content-type": f"{EVENT_STREAM}; charset=utf-8"}, content=body
    )


def _doing(received: Received) -> str:
    kinds = {"text": "writes", "thinking": "thinks"}
    what = kinds.get(received.block, f"calls {received.block}" if received.block else "reads")
    return f"the model {what}: {received.output_tokens} tokens so far"


def _throttled(progress: Progress) -> Callable[[str], Awaitable[None]]:
    """Tells at most once in `PROGRESS_EVERY_S`."""
    last = time.monotonic()

    async def tell(message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY_S:
            last = now
            await progress(message)

    return tell
