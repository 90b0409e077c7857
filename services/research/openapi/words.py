"""Names as words: `updatedMin`, `updated_min` and `Updated-Min` are the same to every rule. Pure."""

from __future__ import annotations

import re
from functools import lru_cache


def vocabulary(text: str) -> frozenset[str]:
    """A set of words, written as a line of text."""
    return frozenset(text.split())


def phrases(text: str) -> frozenset[str]:
    """A set of phrases, separated by ``|``."""
    return frozenset(text.split("|"))


_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+|[<>]=?")
_GLUED = re.compile(
    r"^(from|to|start|end|begin|min|max|since|until|last|next|page|per|total)(date|time|page|size|count)$"
)
_OPERATORS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_ACRONYM_PLURAL = re.compile(r"([A-Z]{2,})s\b")
_UNCOUNTABLE = vocabulary("data media people children news series equipment")
_SINGULAR_S = ("ss", "us", "is", "ics")
_IRREGULAR = {"people": "person", "children": "child", "indices": "index", "statuses": "status", "men": "man"}
_IRREGULAR_PLURAL = {one: many for many, one in _IRREGULAR.items()}


@lru_cache(maxsize=65536)
def words(name: str) -> tuple[str, ...]:
    """``"DateCreated>"`` -> ``("date", "created", "gt")``; ``"page[size]"`` -> ``("page", "size")``."""
    found: list[str] = []
    for part in _PART.findall(_ACRONYM_PLURAL.sub(lambda match: match[1] + "S", name)):
        word = _OPERATORS.get(part, part.lower())
        glued = _GLUED.match(word)
        found.extend(glued.groups() if glued else (word,))
    return tuple(found)


def snake(name: str) -> str:
    """``"Message-Streams"`` -> ``"message_streams"``."""
    return "_".join(words(name))


def singular(word: str) -> str:
    """``"companies"`` -> ``"company"``; good enough for matching, not for prose."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _UNCOUNTABLE or len(word) < 3 or not word.endswith("s") or word.endswith(_SINGULAR_S):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1]


def plural(word: str) -> str:
    """``"company"`` -> ``"companies"``; a plural stays what it is."""
    if word in _UNCOUNTABLE or is_plural(word):
        return word
    if word in _IRREGULAR_PLURAL:
        return _IRREGULAR_PLURAL[word]
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "ch", "sh", "z")):
        return word + "es"
    return word + "s"


def is_plural(word: str) -> bool:
    """``"statistics"`` counts as one: it has no other form."""
    return (
        word in _UNCOUNTABLE
        or (word.endswith("ics") and len(word) > 5)
        or word in _IRREGULAR
        or (singular(word) != word and not word.isdigit())
    )


def noun(name: str) -> tuple[str, ...]:
    """The singular words of a name, for comparing a resource with a field or a variable."""
    return tuple(singular(word) for word in words(name))


_ABBREVIATIONS = {
    "acct": "account",
    "addr": "address",
    "app": "application",
    "attr": "attribute",
    "cat": "category",
    "config": "configuration",
    "conv": "conversation",
    "cust": "customer",
    "dept": "department",
    "doc": "document",
    "env": "environment",
    "img": "image",
    "loc": "location",
    "msg": "message",
    "org": "organization",
    "organisation": "organization",
    "param": "parameter",
    "pic": "picture",
    "pr": "pullrequest",
    "proj": "project",
    "repo": "repository",
    "sub": "subscription",
    "tx": "transaction",
    "txn": "transaction",
}
"""Those that APIs use. A common beginning is not enough: a ``fieldconfiguration`` is no ``field``."""


def in_full(word: str) -> str:
    """The word that a usual abbreviation stands for; any other as it is."""
    return _ABBREVIATIONS.get(word, word)


def same_word(one: str, two: str) -> bool:
    """The same singular word, or one the usual abbreviation of the other (``repo``, ``repository``)."""
    return in_full(one) == in_full(two)
