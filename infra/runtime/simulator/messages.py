"""A request and a reply, as the decisions see them: no sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from contracts.simulation import Location


@dataclass(frozen=True)
class Request:
    """``path`` is still percent-encoded; header names are lower case; of a repeated parameter the first counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        path, _, query = target.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        return cls(method, path, dict(reversed(pairs)), headers, body)

    def json_body(self) -> dict[str, Any]:
        """The body as an object; empty if it is none.

        Raises:
            ValueError: it is not JSON.
        """
        try:
            value = json.loads(self.body) if self.body.strip() else {}
        except RecursionError:
            raise ValueError("the JSON nests too deep") from None
        return value if isinstance(value, dict) else {}

    def get(self, location: Location, name: str) -> Any:
        """The parameter's value as sent (text, or any JSON of the body); ``None`` if there is none."""
        if location == "query":
            return self.query.get(name)
        if location == "header":
            return self.headers.get(name.lower())
        if location == "cookie":
            return self._cookies().get(name)
        if location != "body":
            return None
        value: Any = self.json_body()
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _cookies(self) -> dict[str, str]:
        pairs = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


@dataclass(frozen=True)
class Reply:
    """``rows`` are the indexes of the records in the body, in the order sent."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "application/json"
    rows: range = range(0)
    page: int | None = None
    size: int | None = None
    partition: tuple[str, ...] = ()


def problem(status: int, detail: str, *headers: tuple[str, str]) -> Reply:
    """An error as RFC 9457 has it; ``detail`` says what the server did not like."""
    body = json.dumps({"status": status, "detail": detail}).encode()
    return Reply(status, body, headers, media_type="application/problem+json")


class Refused(Exception):
    """The request gets this reply instead of records."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def refuse(status: int, detail: str) -> Refused:
    return Refused(problem(status, detail))
