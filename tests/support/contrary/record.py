"""What a proxy would export of a few requests to a server: HAR 1.2, with all that must not be kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

SECRET = "s3cr3t-0f-the-browser"


def har(url: str, targets: Iterable[str]) -> bytes:
    """The answers of the server at ``url`` to GETs of ``targets`` (path and query)."""
    return json.dumps({"log": {"version": "1.2", "entries": [_entry(url, target) for target in targets]}}).encode()


def _entry(url: str, target: str) -> dict[str, Any]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    sent = {"Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}"}
    connection.request("GET", target, headers=sent)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    joint = "&" if "?" in target else "?"
    return {
        "request": {
            "method": "GET",
            "url": f"{url}{target}{joint}api_key={SECRET}",
            "headers": [{"name": name, "value": value} for name, value in sent.items()],
            "cookies": [{"name": "session", "value": SECRET}],
        },
        "response": {
            "status": response.status,
            "headers": [{"name": name, "value": value} for name, value in response.getheaders()],
            "content": {"mimeType": "application/json", "text": text},
        },
    }
