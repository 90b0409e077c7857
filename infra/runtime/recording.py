"""HAR 1.2 (what browsers and proxies export) -> the answers of an API, without credentials. Pure, bounded.

Only what is named here is kept: method, path, query, status, a few response headers, JSON bodies. Request headers,
cookies, bodies of requests and hosts are never copied; values that are known or look like secrets are blanked
wherever they stand. http://www.softwareishard.com/blog/har-12-spec/
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from pydantic import ValidationError
from pydantic_core import from_json

from contracts.answers import RecordedAnswer, RecordedAnswers
from contracts.errors import Rejected

MAX_HAR_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 5_000
MAX_ANSWERS = 200
MAX_BODY_BYTES = 1024 * 1024
MAX_ALL_BODIES_BYTES = 8 * 1024 * 1024
MAX_CREDENTIALS = 1_000
MAX_TEXT = 2_000
MAX_DEPTH = 32
BLANK = "REDACTED"
"""What stands in place of a secret."""

_KEPT_HEADERS = re.compile(r"content-type|link|retry-after|date|x-(total|total-count|next-.*)|.*rate-?limit.*")
_SECRET = re.compile(
    r"(^|[_\-.\[\]])(key|api_?key|token|secret|password|passwd|pwd|auth|authorization|signature|sig|credentials?|"
    r"session|sid|jwt|bearer|cookie|csrf|xsrf|otp|pin)s?($|[_\-.\[\]])",
    re.IGNORECASE,
)
_PAGING = re.compile(
    r"page|next|prev|cursor|continu|pagin|offset|marker|after|before|start|sync|batch|primary|sort|foreign",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORTH_HIDING = 6
"""Known secrets shorter than this would blank harmless text."""


def sanitised(content: bytes) -> bytes:
    """`read_har` as JSON: the work of a child process."""
    return read_har(content).model_dump_json().encode()


def read_har(content: bytes, *, where: str = "answers") -> RecordedAnswers:
    """The API's JSON answers to GET and POST in a recording, at most `MAX_ANSWERS`.

    Raises:
        Rejected: it is no HAR, it is too large, or no answer in it is JSON; the text says which.
    """
    if len(content) > MAX_HAR_BYTES:
        raise Rejected(f"the recording is larger than {MAX_HAR_BYTES:,} bytes: record fewer requests", where=where)
    entries = _entries(content, where)
    known = tuple(dict.fromkeys(secret for entry in entries for secret in _credentials(entry)))
    if len(known) > MAX_CREDENTIALS:
        raise Rejected("the recording shows too many different credentials: record one session", where=where)
    answers: list[RecordedAnswer] = []
    room = MAX_ALL_BODIES_BYTES
    for entry in entries:
        if len(answers) == MAX_ANSWERS or room <= 0:
            break
        text = _body_text(entry)
        if text is None or len(text) > min(MAX_BODY_BYTES, room):
            continue
        answer = _answer(entry, text, known)
        if answer is not None:
            room -= len(text)
            answers.append(answer)
    if not answers:
        raise Rejected(
            "the recording holds no JSON answer of at most "
            f"{MAX_BODY_BYTES:,} bytes to a GET or POST: record requests to the API itself, with content",
            where=where,
        )
    return RecordedAnswers(answers=tuple(answers))


def _entries(content: bytes, where: str) -> list[dict[str, Any]]:
    try:
        har = from_json(content.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)  # of bounded depth
    except ValueError as error:
        raise Rejected(f"the recording is no JSON, so no HAR: {error}", where=where) from None
    entries = _member(_member(har, "log"), "entries")
    if not isinstance(entries, list):
        raise Rejected("the recording is no HAR 1.2: it has no log.entries", where=where)
    if len(entries) > MAX_ENTRIES:
        raise Rejected(f"the recording has more than {MAX_ENTRIES:,} entries: record fewer requests", where=where)
    return [entry for entry in entries if isinstance(entry, dict)]


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _pairs(message: Any, name: str) -> Iterator[tuple[str, str]]:
    """HAR's lists of ``{"name": ..., "value": ...}``."""
    found = _member(message, name)
    for item in found if isinstance(found, list) else ():
        key, value = _member(item, "name"), _member(item, "value")
        if isinstance(key, str) and isinstance(value, str):
            yield key, value


# --- what must not be kept ------------------------------------------------------------------------


def is_secret(name: str) -> bool:
    """Whether a parameter or member of this name holds a credential; tokens of pages are none."""
    spaced = _CAMEL.sub("_", name)
    return _SECRET.search(spaced) is not None and _PAGING.search(spaced) is None


def _credentials(entry: dict[str, Any]) -> Iterator[str]:
    """Values that this request proved itself with, in the forms in which they may come back."""
    request = _member(entry, "request")
    values = [value for name, value in _pairs(request, "headers") if is_secret(name) or name.lower() == "cookie"]
    values += [value for _, value in _pairs(request, "cookies")]
    values += [value for _, value in _pairs(_member(entry, "response"), "cookies")]
    url = _member(request, "url")
    parts = _split(url) if isinstance(url, str) else None
    values += [value for name, value in parse_qsl(parts.query) if is_secret(name)] if parts else []
    if parts and parts.password:
        values.append(unquote(parts.password))
    for value in values:
        for part in {value, value.rpartition(" ")[2], value.partition("=")[2].partition(";")[0]}:
            if len(part) >= _WORTH_HIDING:
                yield from {part, quote(part, safe=""), json.dumps(part)[1:-1]}


def _without(text: str, known: tuple[str, ...]) -> str:
    for secret in known:
        text = text.replace(secret, BLANK)
    return text


def _blanked(text: str) -> str:
    """A text without the secrets in the query of a URL in it."""
    if "?" in text and "=" in text:
        text = re.sub(r"([?&])([^=&#?\s<>]+)=([^&#\s<>\"']*)", _blank_parameter, text)
    return text[:MAX_TEXT]


def _blank_parameter(match: re.Match[str]) -> str:
    value = BLANK if is_secret(unquote(match[2])) else match[3]
    return f"{match[1]}{match[2]}={value}"


def _clean(value: Any, depth: int = 0) -> Any:
    """A JSON value without members that are secrets by their names; what nests too deeply is cut off."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, str):
        return _blanked(value)
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {name: _hidden(name, member, depth) for name, member in value.items()}
    return value


def _hidden(name: str, member: Any, depth: int) -> Any:
    return BLANK if isinstance(member, str) and member and is_secret(name) else _clean(member, depth + 1)


# --- what is kept ---------------------------------------------------------------------------------


def _body_text(entry: dict[str, Any]) -> str | None:
    """The body of the response, if it is there and may be JSON."""
    content = _member(_member(entry, "response"), "content")
    text, kind = _member(content, "text"), str(_member(content, "mimeType") or "")
    if not isinstance(text, str) or (kind and "json" not in kind.lower()):
        return None
    if _member(content, "encoding") != "base64":
        return text
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _answer(entry: dict[str, Any], text: str, known: tuple[str, ...]) -> RecordedAnswer | None:
    request, response = _member(entry, "request"), _member(entry, "response")
    url = _member(request, "url")
    parts = _split(url) if isinstance(url, str) else None
    try:
        body = from_json(_without(text, known), allow_inf_nan=False)
    except ValueError:
        return None
    if parts is None or not isinstance(body, (dict, list)):
        return None
    query = parse_qsl(parts.query, keep_blank_values=True)[:100]
    headers = {name.lower(): value for name, value in _pairs(response, "headers")}
    try:
        return RecordedAnswer(
            method=_member(request, "method"),
            path=_without(parts.path or "/", known),
            query=tuple((name, BLANK if is_secret(name) else _without(value, known)) for name, value in query),
            status=_member(response, "status"),
            headers={
                name: _blanked(_without(value, known))
                for name, value in headers.items()
                if _KEPT_HEADERS.fullmatch(name)
            },
            body=_clean(body),
        )
    except ValidationError:
        return None  # another method, or no HTTP status: nothing that a connector would meet


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
