"""What the server does with a request, without sockets: keeps it, judges it, asks the script, counts its tokens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.support.claude_server import stream
from tests.support.claude_server.cache import Cache, Entry, Usage, account, repeated_tokens
from tests.support.claude_server.messages import MessagesRequest
from tests.support.claude_server.replies import Cut, Failure, Reply, Stall, StreamError, invalid_request
from tests.support.claude_server.scripts import Script, ScriptError
from tests.support.claude_server.usage import written_tokens
from tests.support.claude_server.validation import refusal

PATH = "/v1/messages"
_CREDENTIALS = {"x-api-key", "authorization"}


@dataclass(frozen=True)
class Silence:
    seconds: float


@dataclass(frozen=True)
class Hangup:
    """The connection breaks off."""


Step = bytes | Silence | Hangup


@dataclass(frozen=True)
class Response:
    """``steps``: what is done for the body, in order. ``entries``: what the cache holds once it has begun."""

    status: int
    headers: Mapping[str, str]
    steps: tuple[Step, ...]
    latency_s: float = 0.0
    entries: Cache = field(default_factory=dict)


@dataclass(frozen=True)
class Served:
    """A request that was answered with a message, and the tokens it cost."""

    request: MessagesRequest
    usage: Usage
    output_tokens: int


@dataclass
class Desk:
    """``key``: the credential that is taken; ``None`` takes any."""

    script: Script
    key: str | None
    clock: Callable[[], float]
    requests: list[MessagesRequest] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    refused: list[tuple[MessagesRequest, str]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    cache: dict[str, Entry] = field(default_factory=dict)
    _arrived: Counter[str] = field(default_factory=Counter)
    _attempts: Counter[str] = field(default_factory=Counter)

    def requests_of(self, marker: str) -> list[MessagesRequest]:
        """The requests whose system prompt begins with ``marker``, in the order they came."""
        return [request for request in self.requests if request.marker.startswith(marker)]

    def cached_share(self, *markers: str) -> float:
        """The part of all input tokens, 0 to 1, that came from the cache; with ``markers``, of those requests. 0
        where nothing was served."""
        usages = [served.usage for served in self._served(*markers)]
        return sum(usage.read_tokens for usage in usages) / max(1, sum(usage.prompt_tokens for usage in usages))

    def repeated_share(self, *markers: str) -> float:
        """The most that `cached_share` could be: the part of all input tokens that had been sent before."""
        served = self._served(*markers)
        sent = sum(one.usage.prompt_tokens for one in served)
        return repeated_tokens(one.request.body for one in served) / max(1, sent)

    def _served(self, *markers: str) -> list[Served]:
        return [served for served in self.served if served.request.marker.startswith(markers or "")]

    def answer(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> Response:
        if path.partition("?")[0] != PATH or method != "POST":
            return self._failed(Failure(404, "not_found_error", f"Not found: {method} {path}"))
        request = self._parsed(headers, content)
        if request is None:
            return self._failed(invalid_request("The request body is not a JSON object"))
        if failure := refusal(request):
            self.requests.append(request)
            self.refused.append((request, failure.message))
            return self._failed(failure)
        request = self._counted(request)
        self.requests.append(request)
        try:
            answer = self.script.reply(request)
            if isinstance(answer, Reply):
                _check(answer, request)
        except ScriptError as error:
            self.refused.append((request, str(error)))
            return self._failed(invalid_request(f"scripted server: {error}"))
        except Exception as error:  # whatever a test's own function raises; `serving` raises it at its end
            self.errors.append(error)
            return self._failed(invalid_request(f"scripted server: the script failed: {error!r}"))
        return self._failed(answer) if isinstance(answer, Failure) else self._reply(request, answer)

    def _parsed(self, headers: Mapping[str, str], content: bytes) -> MessagesRequest | None:
        try:
            body = json.loads(content)
        except ValueError:
            return None
        if not isinstance(body, dict):
            return None
        plain = {name: value for name, value in headers.items() if name not in _CREDENTIALS}
        return MessagesRequest(body, plain, self._judged(headers), at_s=self.clock())

    def _counted(self, request: MessagesRequest) -> MessagesRequest:
        """Only what is taken counts: a script need not know what was refused."""
        same = request.fingerprint
        counted = replace(request, arrival=self._arrived[request.marker], attempt=self._attempts[same])
        self._arrived[request.marker] += 1
        self._attempts[same] += 1
        return counted

    def _judged(self, headers: Mapping[str, str]) -> str:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not given:
            return "missing"
        return "expected" if self.key in (None, given) else "wrong"

    def _headers(self) -> dict[str, str]:
        return {"request-id": f"req_{len(self.requests):024}", "content-type": "application/json"}

    def _failed(self, failure: Failure) -> Response:
        headers = {**self._headers(), **failure.headers}
        body = json.dumps(stream.error_body(failure, headers["request-id"])).encode()
        return Response(failure.status, headers, (body,))

    def _reply(self, request: MessagesRequest, reply: Reply) -> Response:
        usage, entries = account(self.cache, request.body, request.at_s)
        self.served.append(Served(request, usage, written_tokens(reply)))
        whole = stream.message(reply, request, usage)
        headers = self._headers()
        if request.streams:
            headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
            pieces = [stream.sse(event) for event in stream.events(whole)]
        else:
            content = json.dumps(stream.plain(whole)).encode()
            pieces = [content[: len(content) // 2], content[len(content) // 2 :]]
        steps = _interrupted(pieces, reply, headers["request-id"])
        return Response(200, headers, steps, reply.latency_s, entries)


def _check(reply: Reply, request: MessagesRequest) -> None:
    """What the API never does, a script must not do: a test would pass that fails for real.

    Raises:
        ScriptError: the reply uses a tool of the provider's that is not offered, or cannot be sent.
    """
    used = {str(block["name"]) for block in reply.content if block["type"] == "server_tool_use"}
    if missing := sorted(used - {*request.tools}):
        raise ScriptError(
            f"the reply uses {', '.join(missing)}, which the request of {request.marker!r} does not offer"
        )
    if isinstance(reply.interruption, StreamError) and not request.streams:
        raise ScriptError("an error event needs a request with stream")


def _interrupted(pieces: list[bytes], reply: Reply, request_id: str) -> tuple[Step, ...]:
    match reply.interruption:
        case None:
            return tuple(pieces)
        case Cut(after):
            return (*pieces[:after], Hangup())
        case Stall(after, silence_s):
            return (*pieces[:after], Silence(silence_s), *pieces[after:])
        case StreamError(after, kind, message):
            body = stream.error_body(Failure(200, kind, message), request_id)
            return (*pieces[:after], stream.sse(body))
