"""Opaque page tokens: an offset that only the server that made it can read."""

from __future__ import annotations

import base64
import binascii
import zlib

_NUMERIC_BASE = 7_000_000
_DIGITS = 18


def token(endpoint: str, offset: int, *, numeric: bool = False, salt: int = 0) -> str:
    """The token for the page that starts at ``offset``. ``salt`` makes another token for the same page."""
    if numeric:
        return str(_NUMERIC_BASE + offset * 16 + salt % 16)
    return base64.urlsafe_b64encode(f"{_sign(endpoint, offset)}.{offset}.{salt}".encode()).decode().rstrip("=")


def offset_of(endpoint: str, text: str, *, numeric: bool = False) -> int | None:
    """What `token` hid; ``None`` for a token that is not one of this endpoint's."""
    if numeric:
        known = text.isdecimal() and len(text) <= _DIGITS and int(text) >= _NUMERIC_BASE
        return (int(text) - _NUMERIC_BASE) // 16 if known else None
    try:
        sign, offset, _salt = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(".")
    except (ValueError, binascii.Error):
        return None
    known = offset.isdecimal() and len(offset) <= _DIGITS and sign == _sign(endpoint, int(offset))
    return int(offset) if known else None


def _sign(endpoint: str, offset: int) -> str:
    return f"{zlib.crc32(f'{endpoint} {offset}'.encode()):08x}"
