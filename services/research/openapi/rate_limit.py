"""How many requests are allowed, where the document says so in words or extensions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from contracts.blueprint import Candidate, Decision, Evidence, RateLimit
from infra.runtime.documents import Document
from services.research.openapi.endpoint import Endpoint
from services.research.openapi.ranking import candidate, decide

_SECONDS = {"second": 1.0, "sec": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0, "day": 86400.0}
_SAID = re.compile(
    r"(\d{1,3}(?:,\d{3})+|\d{1,7})\s+(?:api\s+|http\s+)?(?:requests?|calls?|queries|hits|transactions)"
    r"(?:\s+(?:to|for|from|on)\s+\w+(?:\s+\w+){0,3}?)?\s*(?:per|/|every|each|an?|in\s+an?|within)\s*"
    r"(\d{1,4})?[\s-]*(second|sec|minute|min|hour|day)s?\b",
    re.IGNORECASE,
)
_LIMITED = re.compile(
    r"(?:requests?|calls?|rate)\b[^.\n]{0,40}?\blimit(?:ed|s)?\s*(?:to|is|of|:|at)\s+(\d{1,3}(?:,\d{3})+|\d{1,7})\s*"
    r"(?:per|/|every|each|an?)\s*(\d{1,4})?[\s-]*(second|sec|minute|min|hour|day)s?\b",
    re.IGNORECASE,
)


def find_rate_limit(document: Document, endpoints: Iterable[Endpoint]) -> Decision[RateLimit | None]:
    """The tightest limit stated for the whole API; per-endpoint limits are left to the server's 429."""
    found: list[Candidate[RateLimit | None]] = []
    texts = [("/info/description", document.description)]
    for endpoint in endpoints:
        texts += [
            (f"{endpoint.operation.pointer}/responses/429", str(response.get("description") or ""))
            for status, response in endpoint.operation.responses.items()
            if status == "429"
        ]
    for place, text in texts:
        for match in (*_SAID.finditer(text), *_LIMITED.finditer(text)):
            requests = int(match[1].replace(",", ""))
            per_s = _SECONDS[match[3].lower()] * int(match[2] or 1)
            if requests >= 1 and per_s > 0:
                note = Evidence(pointer=place, note=match[0][:120])
                found.append(candidate(RateLimit(requests=requests, per_s=per_s), 0.7, note))
    unique = sorted(found, key=lambda option: option.value.requests / option.value.per_s if option.value else 0.0)
    return decide([*unique, candidate(None, 0.5, Evidence(pointer="/info/description", note="no limit is stated"))])
