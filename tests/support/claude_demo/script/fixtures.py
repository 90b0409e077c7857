"""Fixtures: a few example records, of what the document shows no example of."""

from __future__ import annotations

import json

from tests.support.claude_server import by_turn, call, outcome, say, seeing

_EXAMPLES = {
    "GET /companies": [
        {"id": "co_17", "name": "Hopper & Sons", "domain": "hopper.example", "employees": 12},
        {"id": "co_18", "name": "Lovelace Ltd", "domain": "lovelace.example", "employees": 240},
    ],
    "GET /deals": [{"id": "d_901", "title": "Looms for Leeds", "amount": 1250.5, "stage": "open"}],
    "GET /users": [{"id": "7d3a0f6e-58c1-4a7b-9a55-0f2f4f1c9b11", "name": "Ada", "role": "admin"}],
}

EXAMPLES = by_turn(
    call("read", file_path="/workspace/streams.md"),
    seeing("GET /companies", call("read", file_path="/workspace/openapi.yaml", view_range=[1, 120])),
    call("read", file_path="/workspace/openapi.yaml", view_range=[120, 260]),
    seeing(
        "format: uuid",
        say("Three lists get records whose values look like the CRM's.")
        + call("write", file_path="/workspace/examples.json", content=json.dumps(_EXAMPLES, indent=1)),
    ),
    outcome({"summary": "Companies, deals and users got records as the page describes them."}),
)
