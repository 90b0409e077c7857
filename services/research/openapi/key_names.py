"""How surely a name, and what is said of it, is that of a record's identity. Pure."""

from __future__ import annotations

import re

from services.research.openapi.words import noun, vocabulary

IDS = {
    "id": 0.85,
    "uuid": 0.8,
    "guid": 0.8,
    "sid": 0.8,
    "gid": 0.75,
    "ulid": 0.75,
    "pk": 0.75,
    "uid": 0.7,
    "identifier": 0.7,
    "oid": 0.65,
    "urn": 0.6,
}
NAMES = {
    "key": 0.5,
    "code": 0.45,
    "slug": 0.45,
    "hash": 0.45,
    "sha": 0.45,
    "serial": 0.35,
    "sku": 0.45,
    "isbn": 0.45,
    "number": 0.4,
    "token": 0.4,
    "handle": 0.4,
    "symbol": 0.4,
    "login": 0.35,
    "username": 0.35,
    "reference": 0.35,
    "ref": 0.3,
    "name": 0.25,
}
_WEAK = {"ts": 0.3, "email": 0.25, "uri": 0.2, "url": 0.15}
_OF_ANYTHING = {("resource", "id"), ("record", "id"), ("entity", "id"), ("object", "id"), ("item", "id")}
_OWN = vocabulary("sys system internal unique public global")
GENERIC = vocabulary("id uuid guid key slug identifier gid sid code name number or")
"""Words of a path variable that do not say what it identifies."""
_UNIQUE = re.compile(
    r"\bunique(?:ly)?\b.{0,40}?\b(?:id|identif\w+|key|reference|name|number|code)\b(?P<of>.{0,60})|\bprimary key\b"
)
_THING = re.compile(r"\W*(?:(?:of|for|to|the|a|an|this|each|every|given)\b\W*)+(?P<thing>[a-z]+)\b(?!')")
_OUT_OF_USE = re.compile(
    r"no longer (?:available|supported|used|returned)|^\W*deprecated|will be removed|\bobsolete\b"
)


def by_name(name: str, own: tuple[str, ...], record_noun: tuple[str, ...]) -> tuple[float, str]:
    """A score from 0 (not at all) to 0.85, and a note; ``own`` are the words of ``name``."""
    note = f"field {name}"
    if len(own) == 1:
        score = IDS.get(own[0], NAMES.get(own[0], _WEAK.get(own[0], 0.0)))
        return (0.75 if name == "_id" else score), note
    if own[0] == "id" and noun("_".join(own[1:])) == record_noun:
        return 0.8, f"{name} is named after the resource"
    if own[-1] not in IDS and own[-1] not in NAMES:
        return 0.0, note
    if own[-1] in IDS and own[0] in _OWN and len(own) == 2:
        return 0.6, note
    subject = noun(name)[:-1]
    base = 0.82 if own[-1] in IDS else 0.3 if own[-1] == "name" else 0.5
    if subject == record_noun or subject == record_noun[-1:]:
        return base, f"{name} is named after the resource"
    if own in _OF_ANYTHING:
        return 0.55, note
    if record_noun and subject[-1] == record_noun[-1]:
        return base - 0.15, note
    return (max(base - 0.25, 0.0) if set(subject) & set(record_noun) else 0.0), note


def told_as_unique(text: str, own: tuple[str, ...], nouns: tuple[str, ...]) -> bool:
    """Whether a description (in lower case) calls the field unique, and for the record itself.

    ``userId``, "unique identifier of the user", identifies another thing than an order; ``accountId`` with the same
    text identifies the record, which is that user.
    """
    match = _UNIQUE.search(text)
    if match is None:
        return False
    subject = {word for word in own if word not in IDS and word not in NAMES}
    if len(subject) == len(own) or not subject or subject & set(nouns):
        return True
    told = _THING.match(match["of"] or "")
    return told is not None and not set(noun(told["thing"])) & subject


def out_of_use(text: str) -> bool:
    """Whether a description (in lower case) says that nothing comes there any more."""
    return _OUT_OF_USE.search(text) is not None
