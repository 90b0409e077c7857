"""The command line's client against a gateway that dies in the middle of a live stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from contracts.envelope import Envelope
from contracts.errors import Rejected
from infra.cli.client import Gateway
from tests.support.facts import life, pipeline_id

FACTS = life(pipeline_id(1))
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
_GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\nConnection: close\r\n\r\n" + b'{"detail": "nobody"}'
_CUT = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n"


def sent(facts: list[Envelope], after: int) -> bytes:
    events = (
        f"event: fact\nid: {n}\ndata: {fact.encode().decode()}\n\n" for n, fact in enumerate(facts, after + 1)
    )
    return _STREAM + "".join(events).encode()


@asynccontextmanager
async def gateway(answers: list[bytes], heads: list[bytes]) -> AsyncIterator[str]:
    """Gives each connection the next answer and closes it; after the last it does not listen any more."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers.pop(0))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cli.client.RECONNECT_S", (0.01,) * 5)


async def followed(url: str) -> list[str]:
    async with Gateway(url) as client:
        return [message.fact.id async for message in client.follow("/live") if message.fact is not None]


@pytest.mark.parametrize("between", [lambda: _AWAY, lambda: _CUT, lambda: sent([], 4)], ids=["503", "cut", "empty"])
async def test_a_live_stream_that_ends_too_early_is_taken_up_where_it_was(between: Callable[[], bytes]) -> None:
    heads: list[bytes] = []
    async with gateway([sent(FACTS[:4], 0), between(), sent(FACTS[4:], 4)], heads) as url:
        assert await followed(url) == [fact.id for fact in FACTS]
    assert [b"last-event-id: 4" in head.lower() for head in heads] == [False, True, True]


async def test_what_waiting_does_not_mend_is_told_at_once() -> None:
    heads: list[bytes] = []
    async with gateway([_GONE], heads) as url:
        with pytest.raises(Rejected, match="nobody"):
            await followed(url)
    assert len(heads) == 1


async def test_a_gateway_that_stays_away_is_given_up() -> None:
    async with gateway([], []) as url:
        pass
    with pytest.raises(Exception, match="does not answer any more"):
        await followed(url)
