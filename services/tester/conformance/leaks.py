"""Whether a secret of the config shows in what a connector wrote. Pure."""

from __future__ import annotations

import base64
from urllib.parse import quote

from services.tester.conformance.configuration import Config


def leaked_forms(config: Config) -> dict[bytes, str]:
    """How a secret may show: as it is, percent-encoded, in base64 alone or in a pair -> the way, for the report."""
    forms: dict[bytes, str] = {}
    for secret in config.secrets:
        forms[secret.encode()] = "as it is"
        forms[quote(secret, safe="").encode()] = "as it is"
        forms[base64.b64encode(secret.encode())] = "in base64"
        for other in config.accepted:
            forms[base64.b64encode(f"{other}:{secret}".encode()).rstrip(b"=")] = "in a Basic header"
        forms[base64.b64encode(f"{secret}:".encode()).rstrip(b"=")] = "in a Basic header"
    return forms


def leaks(text: bytes, forms: dict[bytes, str], where: str) -> list[str]:
    """A sentence for each form that shows in ``text``; never the secret itself."""
    return [f"{where} a secret of the config, {how}" for form, how in forms.items() if form in text]
