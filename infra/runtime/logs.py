"""Logging of every process: one line per record, for people or as JSON, with secrets blanked out."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from infra.runtime.settings import BusSettings
from infra.runtime.telemetry.context import Place, here

HIDDEN = "***"
_MIN_SECRET = 6

_PATTERNS = (
    # scheme and credentials of an Authorization header
    re.compile(r"(?i)\b(bearer|basic|token)\s+[a-z0-9._~+/=-]{8,}"),
    # name = value, in JSON, in a query string, or in a header
    re.compile(
        r"(?i)([\"']?\b[\w-]*(?:password|passwd|secret|api[_-]?key|access[_-]?token|refresh[_-]?token|authorization)"
        r"[\w-]*[\"']?\s*[=:]\s*)([\"']?)[^\s\"'&,;}]{3,}"
    ),
    # user:password@host
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+@"),
    re.compile(r"\b(sk-)[A-Za-z0-9_-]{12,}"),
    # an nkey's seed: base32, S and the kind of its owner (github.com/nats-io/nkeys)
    re.compile(r"\b(S[ACNOUX])[A-Z2-7]{56}\b"),
)
_REPLACEMENTS = (rf"\1 {HIDDEN}", rf"\1\2{HIDDEN}", rf"\1{HIDDEN}@", rf"\1{HIDDEN}", rf"\1{HIDDEN}")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without ``secrets`` and without what looks like a credential."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET:
            text = text.replace(secret, HIDDEN)
    for pattern, replacement in zip(_PATTERNS, _REPLACEMENTS, strict=True):
        text = pattern.sub(replacement, text)
    return text


class _Redacting(logging.Formatter):
    """Formats a record, traces too, and blanks out secrets in the result."""

    def __init__(self, service: str, secrets: Iterable[str], *, as_json: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s " + service + " %(name)s: %(message)s")
        self.default_msec_format = "%s.%03d"
        self._service = service
        self._secrets = tuple(secrets)
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        place = here()
        if not self._as_json:
            return redact(super().format(record), self._secrets) + (_where(place) if place else "")
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": redact(record.getMessage(), self._secrets),
        }
        if place is not None:
            entry |= {"pipeline": place.pipeline, "trace_id": place.pipeline, "span_id": place.span}
            entry |= {"task": place.task} if place.task else {}
        if record.exc_info:
            entry["trace"] = redact(self.formatException(record.exc_info), self._secrets)
        return json.dumps(entry)


def _where(place: Place) -> str:
    return f" [pipeline={place.pipeline}" + (f" task={place.task}]" if place.task else "]")


def configure(settings: BusSettings, service: str) -> None:
    """Send all records of this process to stderr. Neither the service's bus password nor another key appears."""
    secrets = [secret for secret in (settings.password(), *_keys(), *_collectors()) if secret]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(service, secrets, as_json=settings.log_format == "json"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)


def _keys() -> Iterator[str]:
    """The model's key, as `infra.runtime.claude.settings` reads it; whoever has none does not load that."""
    if key := os.environ.get("ANTHROPIC_API_KEY"):
        yield key
    if file := os.environ.get("ANTHROPIC_API_KEY_FILE"):
        with suppress(OSError):  # whoever uses the key says what is wrong with its file
            yield Path(file).read_text().strip()


def _collectors() -> Iterator[str]:
    """What OTLP's headers hold (the gateway's settings), as it is written and as it is sent."""
    for pair in os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(","):
        value = pair.partition("=")[2].strip()
        yield from {value, unquote(value)}
