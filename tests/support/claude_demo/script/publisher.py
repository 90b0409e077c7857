"""The publisher's prose, out of what the package and the report say."""

from __future__ import annotations

from tests.support.claude_server import by_turn, call, outcome, seeing

_INTRO = (
    "The Sample CRM holds contacts, companies, deals and what people did with them. This connector copies all seven"
    " lists; contacts and deals can be read again from where the last read ended. To begin one needs an API token"
    " from the CRM's settings page."
)
_NOTES = (
    "Notes are read once for each company, activities once for each deal, so a company that is deleted takes its"
    " notes along.\n\nEach list turns its pages in another way. The end of companies follows from `total`: if the"
    " CRM sent fewer than it counts, the read would fail and say so."
)

PUBLISH = by_turn(
    call("glob", pattern="package/**/*.md"),
    call("read", file_path="/workspace/package/README.md"),
    call("read", file_path="/workspace/package/IMPLEMENTATION.md"),
    seeing("companies", call("read", file_path="/workspace/package/src/source_sample_crm/streams.py")),
    call("grep", pattern="failed", path="/workspace/report.json"),
    call("grep", pattern="reason", path="/workspace/blueprint.json"),
    outcome({"readme_intro": _INTRO, "implementation_notes": _NOTES}),
)
