"""The test reviewer tells a test that is right from one that guessed a number."""

from __future__ import annotations

import re

from tests.support.claude_server import MessagesRequest, Reply, by_turn, call, outcome, seeing

_WRONG = {
    "verdict": "INVALID",
    "reason": "It expects 100 records in all. No page of the API and no evidence in the blueprint has that number;"
    " the answers that are replayed have another.",
}
_RIGHT = {
    "verdict": "VALID_FAIL",
    "reason": "It expects the last record that the API sends, as the protocol does. Offset.following in"
    " pagination.py ends a slice too early.",
}


def _opinions(request: MessagesRequest) -> Reply:
    """One for each test that `failures.md`, the first file that was read, names."""
    asked = re.findall(r"^- test: (.+)$", request.told[0], re.MULTILINE)
    return outcome({"opinions": [{"test": test, **(_WRONG if "hundred" in test else _RIGHT)} for test in asked]})


JUDGE = by_turn(
    call("read", file_path="/workspace/failures.md"),
    seeing("test_by_model_ends", call("read", file_path="/workspace/package/tests/test_by_model_ends.py")),
    call("read", file_path="/workspace/package/tests/conftest.py"),
    call("grep", pattern="100", path="/workspace/blueprint.json"),
    call("read", file_path="/workspace/package/src/source_sample_crm/streams.py"),
    call("read", file_path="/workspace/package/src/source_sample_crm/reader.py"),
    call("read", file_path="/workspace/package/src/source_sample_crm/pagination.py"),
    call("grep", pattern="total", path="/workspace/blueprint.json"),
    call("grep", pattern='"records": ', path="/workspace/report.json"),
    _opinions,
)
