"""Research finds the CRM's documentation and writes it down as a document, at first with a parameter missing."""

from __future__ import annotations

from pathlib import Path

from infra.cli.demo import DOCUMENT
from tests.support.claude_server import Page, by_turn, call, outcome, say, seeing, web_fetch, web_search

_URL = "https://docs.sample-crm.example/api"
_PAGE = Page(_URL, "Sample CRM API", (Path(__file__).parent.parent / "texts" / "documentation.md").read_text())
_FILE = "/workspace/openapi.yaml"

_WHOLE = DOCUMENT.read_text()
_CURSOR = """\
        - {name: cursor, in: query, description: "`next_cursor` of the page before", schema: {type: string}}
"""
_BEFORE = "        - {name: company_id, in: path, required: true, schema: {type: string}}\n"
_WITHOUT_CURSOR = _WHOLE.replace(_CURSOR, "")
assert _CURSOR in _WHOLE
assert _WHOLE.count(_BEFORE) == 1

_SOURCES = [{"url": _URL, "taken": "signing in, every list, how its pages turn, the rate limit"}]
_SUMMARY = "A CRM with seven lists behind a bearer token. Each list turns its pages in another way."

WRITE = by_turn(
    (say("I look for the CRM's own documentation.") + web_search("Sample CRM API documentation", _PAGE)).stopping(
        "pause_turn"
    ),
    web_fetch(_PAGE)
    + say("One page describes all seven lists. I write them down.")
    + call("write", file_path=_FILE, content=_WITHOUT_CURSOR),
    call("analyse"),
    seeing(
        "streams.notes.pagination: paging is not described completely",
        say("Notes come in pages: the page says `cursor`, and my document does not.")
        + call("edit", file_path=_FILE, old_string=_BEFORE, new_string=_BEFORE + _CURSOR),
    ),
    call("analyse"),
    seeing(
        'pages {"kind":"cursor","param":"cursor"', outcome({"summary": _SUMMARY, "sources": _SOURCES, "gaps": []})
    ),
)
