"""Fetching over real HTTP: what is refused, bounded, followed."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from contracts.errors import Rejected, Transient
from infra.runtime.documents import FetchPolicy, fetch
from infra.runtime.documents.web import is_allowed

LOCAL = FetchPolicy(allow_loopback=True, timeout_s=5)
Answer = Callable[[str, dict[str, str]], bytes]


class Server:
    """Answers each path with the raw bytes that a test gives; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        path = first.split(" ")[1]
        self.seen.append((path, {line.split(": ")[0].lower(): line.split(": ", 1)[1] for line in lines}))
        answer = self.answers.get(path)
        if answer is None:
            await asyncio.sleep(60)
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.handle, "127.0.0.1", 0)
    found.port = listening.sockets[0].getsockname()[1]
    yield found
    listening.close()


async def test_content_is_returned_without_credentials(server: Server) -> None:
    server.answers["/spec.json?a=1"] = answer("200 OK", b"{}")
    url = f"http://user:secret@127.0.0.1:{server.port}/spec.json?a=1"
    assert await fetch(url, LOCAL) == b"{}"
    headers = server.seen[0][1]
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert not {"authorization", "cookie"} & set(headers)


async def test_a_host_name_keeps_its_host_header(server: Server) -> None:
    server.answers["/"] = answer("200 OK", b"x")
    assert await fetch(f"http://localhost:{server.port}/", LOCAL) == b"x"
    assert server.seen[0][1]["host"] == f"localhost:{server.port}"


async def test_redirects_are_followed_and_counted(server: Server) -> None:
    server.answers["/a"] = answer("302 Found", Location="/b?x=1")
    server.answers["/b?x=1"] = answer("200 OK", b"there")
    server.answers["/loop"] = answer("301 Moved", Location="/loop")
    assert await fetch(server.url + "/a", LOCAL) == b"there"
    with pytest.raises(Rejected, match="more than 5 redirects"):
        await fetch(server.url + "/loop", LOCAL)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("http://10.0.0.1/", "10.0.0.1, which is not public"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254, which is not public"),
        ("file:///etc/passwd", "only http and https"),
        ("gopher://127.0.0.1/", "only http and https"),
        ("http://[fd00::1]/", "which is not public"),
    ],
)
async def test_a_redirect_into_a_private_place_is_refused(server: Server, target: str, words: str) -> None:
    server.answers["/a"] = answer("302 Found", Location=target)
    with pytest.raises(Rejected, match=words):
        await fetch(server.url + "/a", LOCAL)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "ftp://example.com/x",
        "http://",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://192.168.1.1/",
        "http://172.16.0.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://a b/",
    ],
)
async def test_a_deployment_refuses_what_is_not_public(url: str) -> None:
    with pytest.raises(Rejected):
        await fetch(url, FetchPolicy())


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("2002:7f00:1::", False),
        ("255.255.255.255", False),
    ],
)
def test_addresses_are_judged_alone(address: str, allowed: bool) -> None:
    assert is_allowed(ipaddress.ip_address(address), FetchPolicy()) is allowed


def test_loopback_in_ipv6_clothes_counts_as_loopback() -> None:
    assert is_allowed(ipaddress.ip_address("::ffff:127.0.0.1"), LOCAL)
    assert not is_allowed(ipaddress.ip_address("::ffff:192.168.0.1"), LOCAL)


async def test_size_is_limited_while_reading(server: Server) -> None:
    policy = FetchPolicy(allow_loopback=True, max_bytes=1000)
    server.answers["/big"] = answer("200 OK", b"x" * 2000)
    server.answers["/bomb"] = answer("200 OK", gzip.compress(b"x" * 5_000_000), Content_Encoding="gzip")
    for path in ("/big", "/bomb"):
        with pytest.raises(Rejected, match="larger than the limit of 1,000 bytes"):
            await fetch(server.url + path, policy)


async def test_time_is_limited_as_a_whole(server: Server) -> None:
    with pytest.raises(Transient, match=r"no complete answer within 0\.3 s"):
        await fetch(server.url + "/never", FetchPolicy(allow_loopback=True, timeout_s=0.3))


async def test_answers_that_will_not_change_differ_from_those_that_may(server: Server) -> None:
    server.answers["/404"] = answer("404 Not Found")
    server.answers["/503"] = answer("503 Busy")
    server.answers["/cut"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nxx"
    server.answers["/lie"] = answer("200 OK", b"not gzip", Content_Encoding="gzip")
    with pytest.raises(Rejected, match="answered 404"):
        await fetch(server.url + "/404", LOCAL)
    with pytest.raises(Transient, match="answered 503"):
        await fetch(server.url + "/503", LOCAL)
    with pytest.raises(Transient, match="could not read it"):
        await fetch(server.url + "/cut", LOCAL)
    with pytest.raises(Rejected, match="not encoded as it says"):
        await fetch(server.url + "/lie", LOCAL)


async def test_an_unreachable_server_is_transient_and_the_text_holds_no_secret() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Transient) as caught:
        await fetch(f"http://me:pw@127.0.0.1:{port}/x?api_key=abc", LOCAL)
    assert "pw" not in str(caught.value)
    assert "abc" not in str(caught.value)


async def test_a_name_is_resolved_once_and_the_checked_address_is_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer for a name would be another address; it is never asked for."""
    server.answers["/"] = answer("200 OK", b"x")
    loop = asyncio.get_running_loop()
    asked: list[str] = []
    real = loop.getaddrinfo

    async def resolve(host: str, port: int, **options: object) -> object:
        asked.append(host)
        name = "127.0.0.1" if host == "rebind.test" and len(asked) == 1 else host
        return await real(name, port, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    assert await fetch(f"http://rebind.test:{server.port}/", LOCAL) == b"x"
    assert asked.count("rebind.test") == 1
    assert server.seen[0][1]["host"] == f"rebind.test:{server.port}"
