"""Reads a document from the web without being led into private networks.

Every hop is checked: the host is resolved here, each of its addresses must be public, and the connection goes to
the address that was checked (a second look-up could answer otherwise: DNS rebinding). Redirects are followed by
hand for the same reason. No cookies, credentials or proxies of the environment are used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

import httpx2

from contracts.errors import Rejected, Transient

_USER_AGENT = "agentic-connectors (document reader)"
_ACCEPT = "application/json, application/yaml, text/yaml, */*;q=0.5"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRANSLATING = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))
"""IPv6 ranges that embed an IPv4 address (NAT64, 6to4): they could hide a private one."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class FetchPolicy:
    """What may be fetched. ``allow_loopback`` is for the embedded stack and for tests: a deployment never sets it.
    ``timeout_s`` bounds everything together, redirects included."""

    allow_loopback: bool = False
    max_bytes: int = 50 * 1024 * 1024
    timeout_s: float = 30.0
    max_redirects: int = 5


async def fetch(url: str, policy: FetchPolicy) -> bytes:
    """The content at ``url``.

    Raises:
        Rejected: not http(s), a forbidden address, too large, too many redirects, or an answer such as 404.
        Transient: the network failed, the server did (5xx, 429), or it took longer than ``timeout_s``.
    """
    try:
        async with asyncio.timeout(policy.timeout_s):
            return await _follow(url, policy)
    except TimeoutError:
        raise Transient(f"no complete answer within {policy.timeout_s:g} s", where=_shown(url)) from None


async def _follow(url: str, policy: FetchPolicy) -> bytes:
    for _ in range(policy.max_redirects + 1):
        outcome = await _get(_parsed(url), policy)
        if isinstance(outcome, bytes):
            return outcome
        url = outcome
    raise Rejected(f"more than {policy.max_redirects} redirects", where=_shown(url))


def _parsed(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise Rejected(f"this is no valid URL: {error}", where=_shown(url)) from None
    if parsed.scheme not in ("http", "https"):
        raise Rejected(
            f"only http and https URLs are read, not {parsed.scheme or 'a URL without a scheme'!r}",
            where=_shown(url),
        )
    if not parsed.host:
        raise Rejected("the URL names no host", where=_shown(url))
    return parsed.copy_with(username=None, password=None, fragment=None) if parsed.userinfo else parsed


async def _get(url: httpx2.URL, policy: FetchPolicy) -> bytes | str:
    """One request: the content, or the URL that it redirects to."""
    where = _shown(str(url))
    address = await _checked_address(url, policy)
    pinned = url.copy_with(host=str(address))
    headers = {"Host": url.netloc.decode("ascii"), "User-Agent": _USER_AGENT, "Accept": _ACCEPT}
    timeout = httpx2.Timeout(policy.timeout_s)
    try:
        async with (
            httpx2.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": url.host}) as response,
        ):
            if response.status_code in _REDIRECTS and (location := response.headers.get("location")):
                return str(url.join(location))
            if response.status_code in _RETRIED:
                raise Transient(f"the server answered {response.status_code}", where=where)
            if response.status_code != 200:
                raise Rejected(f"the server answered {response.status_code}: check the URL", where=where)
            return await _body(response, policy, where)
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise Transient(f"could not read it: {reason}", where=where) from None
    except httpx2.DecodingError as error:
        raise Rejected(f"the answer is not encoded as it says: {error}", where=where) from None


async def _body(response: httpx2.Response, policy: FetchPolicy, where: str) -> bytes:
    """The decoded body; counted as it comes, so that neither a lying length nor compression can fill memory."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > policy.max_bytes:
            raise Rejected(f"the answer is larger than the limit of {policy.max_bytes:,} bytes", where=where)
    return bytes(content)


async def _checked_address(url: httpx2.URL, policy: FetchPolicy) -> Address:
    where = _shown(str(url))
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise Rejected(f"{url.host!r} is no name of a host", where=where) from None
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            raise Rejected(f"there is no host {url.host!r}: check the URL", where=where) from None
        raise Transient(f"the host {url.host!r} could not be resolved: {error}", where=where) from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
    for address in addresses:
        if not is_allowed(address, policy):
            raise Rejected(
                f"the host {url.host!r} has the address {address}, which is not public: documents are read from "
                "public addresses only; upload the document instead",
                where=where,
            )
    return addresses[0]


def is_allowed(address: Address, policy: FetchPolicy) -> bool:
    """Public unicast, or loopback where the policy says so. IPv4 inside IPv6 is judged as IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_allowed(address.ipv4_mapped, policy)
        if any(address in network for network in _TRANSLATING):
            return False
    if address.is_loopback:
        return policy.allow_loopback
    return address.is_global and not address.is_multicast and not address.is_reserved


def _shown(url: str) -> str:
    """The URL for a message: without user, password and query, which may hold secrets."""
    try:
        parsed = httpx2.URL(url)
        return str(parsed.copy_with(username=None, password=None, query=None, fragment=None))[:300]
    except (httpx2.InvalidURL, ValueError):
        return url.split("?")[0][:100]
