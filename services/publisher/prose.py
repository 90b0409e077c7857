"""What a model may say in the package's papers, and where it stands there. Pure.

Papers are read in browsers and on package indexes, and the model read what strangers wrote. So its words are
quoted, line by line: no heading, list or block of theirs reaches beyond the quote. And they lead nowhere that the
API's document does not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint

README = "README.md"
IMPLEMENTATION = "IMPLEMENTATION.md"

_BEGIN, _END = "<!-- a model's words: begin -->", "<!-- a model's words: end -->"
_LABEL = "*Written by a model that read this package. Nothing in it was measured.*"

_KNOWN = re.compile(r"https?://([a-z0-9._{}-]+(?::[0-9]+)?)(?=[/?#]|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|(?<!\w)(?=www\.)|[\w.+-]+@)([^\s/?#]*)", re.IGNORECASE)
"""What a renderer makes a link of without being asked to (GitHub Flavored Markdown 6.9), and some more."""

_AFTER_ADDRESS = ".,;:!?)]\"'*_`"
_HTML = re.compile(r"<[a-z/!?]", re.IGNORECASE)
_MAX_SHOWN = 100


class Prose(BaseModel):
    """Markdown: what the API and the connector are for, and what whoever works on the code should know."""

    readme_intro: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1500)]
    implementation_notes: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=6000)]


def known_hosts(blueprint: ApiBlueprint) -> frozenset[str]:
    """Where prose may point to: the hosts (with ports, where stated) of the API and of its document."""
    bases = (option.value.template for option in blueprint.base_url.options if option.value)
    found = (_KNOWN.match(url) for url in (blueprint.document_url or "", *bases))
    return frozenset(match[1].lower() for match in found if match)


def faults(prose: Prose, hosts: Collection[str]) -> str | None:
    """Why ``prose`` cannot be published as it is, or None."""
    texts = (("readme_intro", prose.readme_intro), ("implementation_notes", prose.implementation_notes))
    return "; ".join(f"{name}: {fault}" for name, text in texts for fault in _faults(text, hosts)) or None


def _faults(text: str, hosts: Collection[str]) -> Iterator[str]:
    if not all(character.isprintable() or character == "\n" for character in text):
        yield "there are characters that cannot be seen: use plain text and line feeds"
    if _HTML.search(text):
        yield "there is HTML: use plain Markdown"
    if "](" in text or "]:" in text:
        yield "there is a link or an image: write addresses out, if at all"
    if "```" in text or "~~~" in text:
        yield "there is a code block: commands and code are in the package, where they were tested"
    addresses = (match[1].rstrip(_AFTER_ADDRESS).lower() for match in _ADDRESS.finditer(text))
    if strange := next((address for address in addresses if address not in hosts), None):
        yield f"it points to {strange[:_MAX_SHOWN]!r}, which is no host of the API or its document"


def with_prose(code: Tree, prose: Prose) -> dict[str, bytes]:
    """``code`` with the prose in its papers: below the title of the README, at the end of IMPLEMENTATION.md. A
    paper that is not there stays away."""
    said = dict(code)
    if README in code:
        title, rest = _titled(code[README])
        said[README] = title + _section(prose.readme_intro) + rest
    if IMPLEMENTATION in code:
        notes = code[IMPLEMENTATION].rstrip(b"\n")
        said[IMPLEMENTATION] = notes + b"\n\n" + _section(prose.implementation_notes).rstrip(b"\n") + b"\n"
    return said


def _titled(paper: bytes) -> tuple[bytes, bytes]:
    """The title with an empty line after it, or nothing; and the rest."""
    first, _, rest = paper.partition(b"\n")
    return (first + b"\n\n", rest.lstrip(b"\n")) if first.startswith(b"# ") else (b"", paper)


def _section(text: str) -> bytes:
    quoted = "\n".join(f"> {line}".rstrip() for line in (_LABEL, "", *text.split("\n")))
    return f"{_BEGIN}\n\n{quoted}\n\n{_END}\n\n".encode()
