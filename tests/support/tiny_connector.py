"""A small connector written by hand, right in all that the kit asks, and ways to break it on purpose."""

from __future__ import annotations

from contracts.simulation import (
    BearerCheck,
    Endpoint,
    PageSize,
    PathBinding,
    Position,
    Records,
    Signal,
    SimulatedApi,
    Source,
    TimeField,
    TimeFilter,
)

SOURCE = """
import http.client, json, sys, time, urllib.error, urllib.request
from email.utils import parsedate_to_datetime

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}}
STREAMS = ("contacts", "deals", "notes")
INCREMENTAL = ("contacts",)
NOTHING = {"data": [], "has_more": False, "items": [], "next": None, "notes": [], "total": 0}


class ConfigProblem(Exception):
    pass


def say(message):
    print(json.dumps(message, separators=(",", ":")), flush=True)


def trace(**content):
    say({"type": "TRACE", "trace": {"emitted_at": int(time.time() * 1000), **content}})


def status(stream, value):
    descriptor = {"stream_descriptor": {"name": stream}, "status": value}
    trace(type="STREAM_STATUS", stream_status=descriptor)


def error(message, kind, stream=None):
    content = {"message": message, "failure_type": kind}
    if stream:
        content["stream_descriptor"] = {"name": stream}
    trace(type="ERROR", error=content)


def wait_s(headers):
    after = headers.get("Retry-After") or ""
    if after.isdigit():
        return float(after)
    reset = parsedate_to_datetime(after).timestamp() if after else float(headers.get("X-RateLimit-Reset") or 0)
    return max(0.1, reset - time.time())


def get(config, path, **query):
    url = config["base_url"] + path + "?" + "&".join(f"{k}={v}" for k, v in query.items())
    headers = {"Authorization": "Bearer " + config["credentials"]["token"]}
    for attempt in range(4):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=3) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as problem:
            if problem.code == 401:
                raise ConfigProblem("the token is refused (401)") from None
            if problem.code not in (429, 500, 502, 503) or attempt == 3:
                raise OSError(f"GET {path} answered {problem.code}") from None
            time.sleep(wait_s(problem.headers))
        except (OSError, ValueError, http.client.HTTPException) as problem:
            if attempt == 3:
                raise OSError(f"GET {path} gave no answer: {type(problem).__name__}") from None


def contacts(config, state):
    page, seen = state.get("page", 1), None
    while True:
        query = {"page": page, "per_page": 5}
        if state.get("since"):
            query["updated_since"] = state["since"]
        body = get(config, "/contacts", **query)
        if body["data"] == seen and seen:
            raise OSError("the API sends the same page again")
        seen = body["data"]
        newest = max([r["updated_at"] for r in seen] + [state.get("newest", "")])
        page += 1
        done = not body["has_more"]
        kept = {"since": newest} if done else {"page": page, "since": state.get("since"), "newest": newest}
        state = {**state, "newest": newest}
        yield seen, kept
        if done:
            return


def deals(config, state):
    cursor, seen, last = state.get("cursor"), set(), None
    while True:
        body = get(config, "/deals", limit=4, **({"cursor": cursor} if cursor else {}))
        cursor = body["next"]
        if cursor in seen:
            raise OSError("the API repeats a cursor")
        if body["items"] and body["items"] == last:
            raise OSError("the API sends the same page again")
        seen.add(cursor)
        last = body["items"]
        yield body["items"], {"cursor": cursor}
        if not cursor:
            return


def notes(config, state):
    parents = [contact for page, _ in contacts(config, {}) for contact in page]
    for contact in parents:
        offset = 0
        while True:
            body = get(config, f"/contacts/{contact['id']}/notes", offset=offset)
            yield body["notes"], {}
            offset += len(body["notes"])
            if not body["notes"] or offset >= body["total"]:
                break


def read(config, catalog, states):
    wanted = [entry["stream"]["name"] for entry in catalog["streams"]]
    for name in wanted:
        if name not in STREAMS:
            error(f"there is no stream {name}", "config_error")
            return 1
    failed = False
    for name in wanted:
        status(name, "STARTED")
        running = False
        try:
            for records, state in globals()[name](config, states.get(name, {})):
                for record in records:
                    if not running:
                        status(name, "RUNNING")
                        running = True
                    content = {"stream": name, "data": record, "emitted_at": int(time.time() * 1000)}
                    say({"type": "RECORD", "record": content})
                content = {"stream_descriptor": {"name": name}, "stream_state": state}
                stats = {"recordCount": float(len(records))}
                say({"type": "STATE", "state": {"type": "STREAM", "stream": content, "sourceStats": stats}})
        except (OSError, ConfigProblem) as problem:
            failed = True
            kind = "config_error" if isinstance(problem, ConfigProblem) else "system_error"
            error(str(problem), kind, name)
            status(name, "INCOMPLETE")
        else:
            status(name, "COMPLETE")
    return 1 if failed else 0


def check(config):
    try:
        get(config, "/contacts", page=1, per_page=5)
    except (OSError, ConfigProblem) as problem:
        return {"status": "FAILED", "message": str(problem)}
    return {"status": "SUCCEEDED"}


def discover():
    streams = []
    for name in STREAMS:
        modes = ["full_refresh", "incremental"] if name in INCREMENTAL else ["full_refresh"]
        stream = {"name": name, "json_schema": SCHEMA, "supported_sync_modes": modes}
        stream["source_defined_primary_key"] = [["id"]]
        stream["is_resumable"] = name != "notes"
        if name in INCREMENTAL:
            stream |= {"source_defined_cursor": True, "default_cursor_field": ["updated_at"]}
        streams.append(stream)
    return {"streams": streams}


def spec():
    token = {"type": "string", "airbyte_secret": True}
    kind = {"type": "string", "const": "token"}
    parts = {"auth_type": kind, "token": token}
    option = {"title": "token", "properties": parts, "required": ["auth_type", "token"]}
    properties = {"credentials": {"type": "object", "oneOf": [option]}, "base_url": {"type": "string"}}
    return {"type": "object", "properties": properties, "required": ["credentials"]}


def main(argv):
    files = {argv[n][2:]: json.load(open(argv[n + 1])) for n in range(1, len(argv), 2)}
    if argv[0] == "spec":
        say({"type": "SPEC", "spec": {"connectionSpecification": spec()}})
    elif argv[0] == "check":
        say({"type": "CONNECTION_STATUS", "connectionStatus": check(files["config"])})
    elif argv[0] == "discover":
        say({"type": "CATALOG", "catalog": discover()})
    else:
        streams = [state["stream"] for state in files.get("state", [])]
        states = {stream["stream_descriptor"]["name"]: stream["stream_state"] for stream in streams}
        return read(files["config"], files["catalog"], states)
    return 0


sys.exit(main(sys.argv[1:]))
"""

MUTANTS: dict[str, tuple[str, str, str]] = {
    "skips_the_last_page": (
        "        yield seen, kept\n        if done:",
        "        yield [] if done else seen, kept\n        if done:",
        "completeness/contacts/",
    ),
    "reads_two_pages_at_most": (
        'done = not body["has_more"]',
        'done = not body["has_more"] or page > 2',
        "completeness/contacts/3-pages",
    ),
    "stops_at_a_short_page": (
        "if not cursor:",
        "if not cursor or len(body['items']) < 4:",
        "termination/deals/empty-page",
    ),
    "reads_only_the_first_page": ('cursor = body["next"]', "cursor = None", "completeness/deals/page+1"),
    "swallows_a_500": (
        "if problem.code not in (429, 500, 502, 503) or attempt == 3:",
        "if problem.code == 500:\n                return NOTHING\n"
        "            if problem.code not in (429, 502, 503) or attempt == 3:",
        "failures/",
    ),
    "does_not_wait_for_retry_after": (
        "time.sleep(wait_s(problem.headers))",
        "time.sleep(0.05)",
        "failures/contacts/429",
    ),
    "gives_up_at_429": ("not in (429, 500, 502, 503)", "not in (500, 502, 503)", "failures/contacts/429"),
    "prints_the_token": (
        'return {"status": "SUCCEEDED"}',
        'print(config["credentials"]["token"], file=sys.stderr)\n    return {"status": "SUCCEEDED"}',
        "secrets/connector/output",
    ),
    "leaks_the_token_when_it_fails": (
        'raise OSError(f"GET {path} answered {problem.code}") from None',
        'raise OSError(f"{headers} answered {problem.code}") from None',
        "secrets/connector/output",
    ),
    "follows_a_repeated_cursor_for_ever": (
        'raise OSError("the API',
        'str("the API',
        "termination/deals/repeated-page",
    ),
    "takes_a_repeated_cursor_as_the_end": (
        'raise OSError("the API repeats a cursor")',
        'yield body["items"], {}\n            return',
        "termination/deals/repeated-page",
    ),
    "never_ends": (
        "        if done:\n            return\n",
        "        if done:\n            page -= 1\n",
        "completeness/contacts/",
    ),
    "repeats_the_last_record": (
        "for record in records:",
        "for record in [*records, *records[-1:]]:",
        "completeness/",
    ),
    "loses_the_last_record": ("for record in records:", "for record in records[:-1] or records:", "completeness/"),
    "exits_with_0_on_failure": ("return 1 if failed else 0", "return 0", "failures/"),
    "says_complete_on_failure": ('status(name, "INCOMPLETE")', 'status(name, "COMPLETE")', "failures/"),
    "stops_at_the_first_failing_stream": (
        'error(str(problem), kind, name)\n            status(name, "INCOMPLETE")',
        'error(str(problem), kind, name)\n            status(name, "INCOMPLETE")\n            return 1',
        "failures/",
    ),
    "check_succeeds_with_a_wrong_token": (
        'return {"status": "FAILED", "message": str(problem)}',
        'return {"status": "SUCCEEDED"}',
        "auth/connector/check-wrong",
    ),
    "check_fails_with_exit_1": (
        'return {"status": "FAILED", "message": str(problem)}',
        'say({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "FAILED"}})\n        sys.exit(1)',
        "auth/connector/check-wrong",
    ),
    "blames_the_system_for_a_wrong_token": (
        '"config_error" if isinstance(problem, ConfigProblem) else "system_error"',
        '"system_error"',
        "auth/connector/read-wrong",
    ),
    "logs_to_stdout": (
        'status(name, "STARTED")',
        'status(name, "STARTED")\n        print("reading", name)',
        "protocol/connector/messages",
    ),
    "never_says_running": ('status(name, "RUNNING")', "pass", "protocol/contacts/messages"),
    "counts_wrong": ("float(len(records))", "float(len(records) + 1)", "protocol/contacts/messages"),
    "ignores_unknown_streams": (
        'error(f"there is no stream {name}", "config_error")\n            return 1',
        "return 0",
        "protocol/connector/unknown-stream",
    ),
    "ignores_its_state": ("config, states.get(name, {})", "config, {}", "incremental/contacts/only-changes"),
    "loses_what_is_new": (
        'query["updated_since"] = state["since"]',
        'query["updated_since"] = "2031-01-01T00:00:00Z"',
        "incremental/contacts/no-loss",
    ),
    "checkpoints_ahead_of_its_records": (
        '{"page": page, "since"',
        '{"page": page + 1, "since"',
        "resume/contacts/every-checkpoint",
    ),
    "takes_only_what_is_newer": (
        "        newest = max(",
        "        since = state.get('since', '')\n"
        "        seen = body['data'] = [r for r in seen if r['updated_at'] > since]\n"
        "        newest = max(",
        "incremental/contacts/no-loss",
    ),
    "begins_again_when_restarted": (
        'state.get("cursor"), set()',
        "None, set()",
        "resume/deals/every-checkpoint",
    ),
    "forgets_what_came_before_a_restart": (
        'state.get("page", 1), None',
        'state.get("page", 1) + (state.get("page", 0) > 2), None',
        "resume/contacts/every-checkpoint",
    ),
    "gives_up_after_many_pages": (
        'done = not body["has_more"]',
        'done = not body["has_more"] or page > 20',
        "completeness/contacts/200",
    ),
    "does_not_understand_a_date": (
        "parsedate_to_datetime(after).timestamp() if after else",
        "0 if after else",
        "failures/contacts/429-date",
    ),
    "does_not_know_rate_limit_headers": (
        'headers.get("X-RateLimit-Reset") or 0',
        "0",
        "failures/contacts/429-rate-limit-headers",
    ),
    "takes_broken_json_as_the_end": (
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "            if isinstance(problem, ValueError):\n                return NOTHING\n"
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "failures/contacts/broken-json",
    ),
    "takes_a_cut_body_as_the_end": (
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "            if isinstance(problem, http.client.IncompleteRead):\n                return NOTHING\n"
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "failures/contacts/cut-body",
    ),
    "takes_silence_as_the_end": (
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "            if isinstance(problem, TimeoutError):\n                return NOTHING\n"
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "failures/contacts/time-out",
    ),
    "takes_a_reset_as_the_end": (
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "            if isinstance(problem, ConnectionError):\n                return NOTHING\n"
        '            if attempt == 3:\n                raise OSError(f"GET {path} gave',
        "failures/contacts/reset",
    ),
    "ends_a_sigterm_with_an_error": (
        "    failed = False\n    for name in wanted:",
        "    import signal\n    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "    failed = False\n    for name in wanted:",
        "protocol/connector/sigterm",
    ),
    "takes_a_missing_list_for_an_empty_one": (
        "            if problem.code == 401:",
        "            if problem.code == 404:\n                return NOTHING\n            if problem.code == 401:",
        "failures/contacts/always-404",
    ),
    "skips_the_last_parent": ("for contact in parents:", "for contact in parents[:-1]:", "completeness/notes/"),
    "declares_a_wrong_schema": ('"id": {"type": "integer"}', '"id": {"type": "string"}', "schema/"),
    "does_not_have_a_stream": (
        '("contacts", "deals", "notes")',
        '("contacts", "deals")',
        "discovery/notes/present",
    ),
}
"""name -> (text, what it becomes, how the id of a check that must fail begins)."""


def connector(mutant: str | None = None) -> dict[str, bytes]:
    """The tree of the connector, whole or broken."""
    source = SOURCE
    if mutant is not None:
        old, new, _ = MUTANTS[mutant]
        if old not in source:
            raise ValueError(f"{mutant} changes nothing")
        source = source.replace(old, new)
    return {"main.py": source.encode()}


def api() -> SimulatedApi:
    """Contacts by page number, deals by cursor, notes of each contact by offset; a bearer token."""
    schema = {
        "type": "object",
        "required": ["id", "name"],
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    }
    dated = {**schema["properties"], "updated_at": {"type": "string", "format": "date-time"}}  # type: ignore[dict-item]
    contacts = Endpoint(
        key="GET /contacts",
        path="/contacts",
        records=Records(
            path=("data",),
            json_schema={"type": "object", "required": ["id", "name", "updated_at"], "properties": dated},
            identity=(("id",),),
            times=(TimeField(path=("updated_at",)),),
        ),
        envelope={"data": []},
        position=Position(kind="page", param="page", first=1),
        size=PageSize(param="per_page", default=5, maximum=100),
        signals=(Signal(kind="has_more", path=("has_more",), at_end="false"),),
        filters=(TimeFilter(param="updated_since", field=("updated_at",), op="gte"),),
    )
    deals = Endpoint(
        key="GET /deals",
        path="/deals",
        records=Records(path=("items",), json_schema=schema, identity=(("id",),)),
        envelope={"items": []},
        position=Position(kind="cursor", param="cursor"),
        size=PageSize(param="limit", default=4),
        signals=(Signal(kind="next_cursor", path=("next",), at_end="null"),),
    )
    notes = Endpoint(
        key="GET /contacts/{contact_id}/notes",
        path="/contacts/{contact_id}/notes",
        records=Records(path=("notes",), json_schema=schema, identity=(("id",),)),
        envelope={"notes": []},
        position=Position(kind="offset", param="offset"),
        size=PageSize(default=3),
        signals=(Signal(kind="total", path=("total",)),),
        bindings=(PathBinding(variable="contact_id", sources=(Source(endpoint="GET /contacts", field=("id",)),)),),
    )
    endpoints = {endpoint.key: endpoint for endpoint in (contacts, deals, notes)}
    return SimulatedApi(title="Tiny CRM", auth=((BearerCheck(),),), endpoints=endpoints)


ENDPOINTS = {
    "contacts": "GET /contacts",
    "deals": "GET /deals",
    "notes": "GET /contacts/{contact_id}/notes",
}
