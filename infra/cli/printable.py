"""Text of others on a terminal: documents, agents' reasons and generated code may hold control sequences."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\t\n")


def printable(text: str) -> str:
    """``text`` with every control character (Unicode category Cc) and every one that turns the direction of writing
    (Cf) spelled out, tabs and line ends kept."""
    if text.isprintable():
        return text
    return "".join(c if c in _KEPT or unicodedata.category(c) not in ("Cc", "Cf") else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()
