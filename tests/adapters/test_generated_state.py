"""Interrupted anywhere, a read goes on where it was; changes are read once, and ties are not lost."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contracts.blueprint import Cursor, IncrementalFilter, Parameter
from infra.runtime import clock
from tests.support.blueprints import PAGINATIONS, blueprint, child, small_crm, stream
from tests.support.connector_process import Connector, Said, validated
from tests.support.generated import config, connector
from tests.support.paged_api import Answer, Api, Asked, Route, collection, records, serving

RESUMABLE = [kind for kind in PAGINATIONS if kind != "none"]


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    return connector(small_crm(), tmp_path_factory.mktemp("crm"))


def killed_after(made: Connector, states: int, arguments: list[str], sig: signal.Signals = signal.SIGKILL) -> Said:
    """Run until ``states`` checkpoints were written, then send the signal; what had arrived by then."""
    process = subprocess.Popen(
        made.command(*arguments), env=made.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        states -= line.startswith('{"type":"STATE"')
        if states <= 0:
            break
    process.send_signal(sig)
    rest = process.stdout.read() if sig is not signal.SIGKILL else ""
    errors = process.stderr.read()
    process.stdout.close()
    return Said(process.wait(timeout=10), "".join(lines) + rest, errors)


@pytest.mark.parametrize("kind", RESUMABLE)
def test_killed_full_refresh_goes_on_at_the_next_page(crm: Connector, kind: str) -> None:
    held = records(17)
    with serving(Api()) as api:
        api.routes = {f"/by_{kind}": collection(kind, held, api=api)}
        first = killed_after(crm, 2, crm.read_arguments(config(api.url), [f"by_{kind}"]))
        before = len(api.asked)
        second = crm.read(config(api.url), f"by_{kind}", state=first.last_states())
    assert first.code == -signal.SIGKILL
    assert second.code == 0, second.stdout
    assert first.records(f"by_{kind}")[:10] + second.records(f"by_{kind}") == held
    assert len(api.asked) - before <= 3


def test_interrupted_sync_does_not_read_its_finished_streams_again(crm: Connector) -> None:
    with serving(Api()) as api:
        api.routes = {f"/by_{kind}": collection(kind, records(6), api=api) for kind in ("page", "offset")}
        broken = api.routes.pop("/by_offset")
        first = crm.read(config(api.url), "by_page", "by_offset")
        api.routes["/by_offset"] = broken
        second = crm.read(config(api.url), "by_page", "by_offset", state=first.last_states())
        third = crm.read(config(api.url), "by_page", "by_offset", state=second.last_states())
    assert (first.code, second.code, third.code) == (1, 0, 0)
    assert second.records("by_page") == []
    assert second.statuses("by_page") == ["STARTED", "COMPLETE"], "what was read before is told, too"
    assert second.records("by_offset") == records(6)
    assert third.records("by_page") == third.records("by_offset") == records(6), "a new sync starts over"


def test_place_that_the_api_no_longer_knows_starts_the_stream_again(crm: Connector) -> None:
    def forgetful(asked: Asked) -> Answer:
        known = asked.query.get("cursor", "c-5").startswith("c-")
        return collection("cursor", records(8))(asked) if known else Answer(400, {"error": "cursor expired"})

    state = [{"stream": {"stream_descriptor": {"name": "by_cursor"}, "stream_state": {"next": "old"}}}]
    with serving(Api(routes={"/by_cursor": forgetful})) as api:
        said = crm.read(config(api.url), "by_cursor", state=state)
    assert said.code == 0, said.stdout
    assert said.records("by_cursor") == records(8)
    assert any("starts again" in log["message"] for log in said.of("LOG"))


def nested(api: Api) -> list[dict[str, Any]]:
    api.routes["/contacts"] = collection("offset", records(6), api=api)
    deals = {contact: records(7, start=contact * 100) for contact in range(1, 7)}
    for contact, held in deals.items():
        api.routes[f"/contacts/{contact}/deals"] = collection("page", held, api=api)
    return [deal for held in deals.values() for deal in held]


@pytest.mark.parametrize("checkpoints", [1, 4])
def test_killed_nested_stream_reads_only_the_partitions_that_are_left(crm: Connector, checkpoints: int) -> None:
    with serving(Api()) as api:
        expected = nested(api)
        first = killed_after(crm, checkpoints, crm.read_arguments(config(api.url), ["deals"]))
        second = crm.read(config(api.url), "deals", state=first.last_states())
    kept = first.last_states()[0]["stream"]["stream_state"]["partitions"]
    finished = {entry["partition"]["contact_id"] for entry in kept if entry.get("complete")}
    again = {record["id"] // 100 for record in second.records("deals")}
    assert again.isdisjoint(map(int, finished))
    assert {record["id"] for said in (first, second) for record in said.records("deals")} == {
        deal["id"] for deal in expected
    }
    repeated = Counter(record["id"] // 100 for said in (first, second) for record in said.records("deals"))
    assert all(count <= 7 + 5 for count in repeated.values()), "not more than one page of each parent comes again"


def test_a_stream_of_which_nothing_is_left_is_announced(tmp_path: Path) -> None:
    known = blueprint(stream("a", pagination=PAGINATIONS["page"]), schemes=(), name="lone")
    with serving(Api()) as api:
        api.routes = {"/a": collection("page", records(6), api=api)}
        state = [
            {"type": "STREAM", "stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"complete": True}}}
        ]
        said = connector(known, tmp_path).read({"base_url": api.url}, "a", state=state)
    assert (said.code, said.records("a"), said.statuses("a")) == (0, [], ["STARTED", "COMPLETE"])


def test_children_that_nobody_selected_are_not_asked_for(tmp_path: Path) -> None:
    known = blueprint(
        stream("a", pagination=PAGINATIONS["page"]), child("b", "a", "/a/{a}/b", "a"), schemes=(), name="tree"
    )
    with serving(Api()) as api:
        api.routes = {"/a": collection("page", records(6), api=api)}
        said = connector(known, tmp_path).read({"base_url": api.url}, "a")
    assert said.code == 0
    assert {asked.path for asked in api.asked} == {"/a"}


# --- incremental ----------------------------------------------------------------------------------


def test_second_incremental_read_brings_what_changed_and_the_ties(crm: Connector) -> None:
    held = records(12)
    with serving(Api()) as api:
        api.routes["/contacts"] = collection("offset", held, api=api)
        first = crm.read(config(api.url), "contacts", mode="incremental")
        held += [{**held[11], "id": 90}, {**held[11], "id": 91, "updated_at": "2024-02-01T00:00:00Z"}]
        second = crm.read(config(api.url), "contacts", mode="incremental", state=first.last_states())
        third = crm.read(config(api.url), "contacts", mode="incremental", state=second.last_states())
    assert first.records("contacts") == records(12)
    assert [record["id"] for record in second.records("contacts")] == [12, 90, 91]
    assert [record["id"] for record in third.records("contacts")] == [91]
    assert second.last_states()[0]["stream"]["stream_state"] == {"cursor": "2024-02-01T00:00:00Z"}


def test_incremental_read_without_news_keeps_its_cursor(crm: Connector) -> None:
    state = {"stream_descriptor": {"name": "contacts"}, "stream_state": {"cursor": "2025-01-01T00:00:00Z"}}
    with serving(Api()) as api:
        api.routes["/contacts"] = collection("offset", records(5), api=api)
        said = crm.read(
            config(api.url), "contacts", mode="incremental", state=[{"stream": state, "type": "STREAM"}]
        )
    assert said.records("contacts") == []
    assert said.last_states()[0]["stream"]["stream_state"] == {"cursor": "2025-01-01T00:00:00Z"}


def test_killed_incremental_read_goes_on_and_loses_nothing(crm: Connector) -> None:
    newest_first = records(17)[::-1]
    with serving(Api()) as api:
        api.routes["/contacts"] = collection("offset", newest_first, api=api)
        first = killed_after(crm, 2, crm.read_arguments(config(api.url), ["contacts"], mode="incremental"))
        second = crm.read(config(api.url), "contacts", mode="incremental", state=first.last_states())
    assert first.records("contacts")[:10] + second.records("contacts") == newest_first
    assert second.last_states()[0]["stream"]["stream_state"] == {"cursor": "2024-01-01T00:00:17Z"}


def test_cursor_does_not_pass_the_time_at_which_the_read_began(crm: Connector) -> None:
    """A record of tomorrow must not make the connector blind for what changes today."""
    future = [{"id": 1, "updated_at": "2199-01-01T00:00:00Z"}]
    with serving(Api()) as api:
        api.routes["/contacts"] = collection("offset", future, api=api)
        said = crm.read(config(api.url), "contacts", mode="incremental")
    cursor = said.last_states()[0]["stream"]["stream_state"]["cursor"]
    assert cursor < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_state_is_kept_per_partition(crm: Connector) -> None:
    with serving(Api()) as api:
        api.routes["/contacts"] = collection("offset", records(2), api=api)
        for contact in (1, 2):
            api.routes[f"/contacts/{contact}/deals"] = collection("page", records(1, start=contact * 10), api=api)
            notes = records(3 * contact, start=contact * 100)
            api.routes[f"/contacts/{contact}/deals/{contact * 10}/notes"] = collection("none", notes, api=api)
        first = crm.read(config(api.url), "notes", mode="incremental")
        again = crm.read(config(api.url), "notes", mode="incremental", state=first.last_states())
    partitions = first.last_states()[0]["stream"]["stream_state"]["partitions"]
    assert sorted((entry["partition"] for entry in partitions), key=lambda partition: partition["deal_id"]) == [
        {"contact_id": "1", "deal_id": "10"},
        {"contact_id": "2", "deal_id": "20"},
    ]
    assert len(first.records("notes")) == 9
    newest = {entry["cursor"] for entry in partitions}
    assert {record["updated_at"] for record in again.records("notes")} == newest


FORMS: dict[str, tuple[Any, Any, bool, Any, str]] = {
    "exact": ("date-time", "date-time", True, "2024-03-01T10:00:00.123456789Z", "2024-03-01T10:00:00.123456789Z"),
    "exclusive": ("date-time", "date-time", False, "2024-03-01T10:00:00+02:00", "2024-03-01T07:59:59Z"),
    "day": ("date-time", "date", True, "2024-03-01T10:00:00Z", "2024-03-01"),
    "days": ("date", "date", False, "2024-03-01", "2024-02-29"),
    "epoch": ("epoch_s", "epoch_s", True, 1709280000, "1709280000"),
    "milliseconds": ("epoch_ms", "date-time", True, 1709280000123, "2024-03-01T08:00:00Z"),
    "mail": ("rfc2822", "date-time", True, "Fri, 01 Mar 2024 10:00:00 +0200", "2024-03-01T08:00:00Z"),
    "microsoft": ("ms_date", "date-time", True, "/Date(1709280000123+1300)/", "2024-03-01T08:00:00Z"),
    "to_mail": ("date-time", "rfc2822", True, "2024-03-01T08:00:00Z", "Fri, 01 Mar 2024 08:00:00 +0000"),
    "to_microsoft": ("date-time", "ms_date", True, "2024-03-01T08:00:00Z", "/Date(1709280000000+0000)/"),
    "to_milliseconds": ("date-time", "epoch_ms", False, "2024-03-01T08:00:00Z", "1709279999999"),
}
"""Name -> form of the field, form of the parameter, inclusive, what the record holds, what is asked for then."""


def _answer(answer: Answer, asked: Asked) -> Answer:
    return answer


def test_cursor_is_sent_in_the_form_that_the_api_wants(tmp_path: Path) -> None:
    streams, routes = [], dict[str, Route]()
    for name, (field_form, form, inclusive, held, _) in FORMS.items():
        rule = IncrementalFilter(param="filter", template="gte({value})", inclusive=inclusive)
        cursor = Cursor(field=("meta", "changed"), field_format=field_form, format=form, filter=rule)
        streams.append(stream(name, cursor=cursor))
        held_here = [{"id": 1, "meta": {"changed": held}}, {"id": 2, "meta": {"changed": None}}]
        routes[f"/{name}"] = partial(_answer, Answer(body={"data": held_here}))
    made = connector(blueprint(*streams, schemes=()), tmp_path)
    with serving(Api(routes=routes)) as api:
        first = made.read({"base_url": api.url}, *FORMS, mode="incremental")
        assert first.code == 0, first.stdout
        unfiltered = [asked for asked in api.asked if "filter" not in asked.query]
        assert unfiltered == api.asked, "there is nothing to ask from yet"
        api.asked.clear()
        made.read({"base_url": api.url}, *FORMS, mode="incremental", state=first.last_states())
    asked = {asked.path[1:]: asked.query["filter"] for asked in api.asked}
    assert asked == {name: f"gte({wanted})" for name, (*_, wanted) in FORMS.items()}


def test_start_date_bounds_the_first_read_only(crm: Connector) -> None:
    with serving(Api()) as api:
        api.routes["/contacts"] = collection("offset", records(12), api=api)
        first = crm.read(config(api.url, start_date="2024-01-01T00:00:08Z"), "contacts", mode="incremental")
        second = crm.read(
            config(api.url, start_date="2024-01-01T00:00:08Z"),
            "contacts",
            mode="incremental",
            state=first.last_states(),
        )
    assert [record["id"] for record in first.records("contacts")] == [8, 9, 10, 11, 12]
    assert second.records("contacts") == records(12)[11:]


def test_a_window_that_the_api_insists_on_goes_from_the_start_date_to_now(tmp_path: Path) -> None:
    cursor = Cursor(field=("updated",), filter=IncrementalFilter(param="from", required=True))
    until = Parameter(name="to", location="query", target="to", format="date", required=False, until_now=True)
    made = connector(blueprint(stream("sales", cursor=cursor), schemes=(), parameters=(until,)), tmp_path)
    with serving(Api(routes={"/sales": lambda asked: Answer(body={"data": []})})) as api:
        assert "start_date" in made.read({"base_url": api.url}, "sales").stdout
        assert api.asked == []
        said = made.read({"base_url": api.url, "start_date": "2024-01-01T00:00:00Z"}, "sales")
    assert said.code == 0, said.stdout
    today = clock.now()
    assert api.asked[0].query["from"] == "2024-01-01T00:00:00Z"
    assert api.asked[0].query["to"] in {f"{today:%Y-%m-%d}", f"{today - timedelta(minutes=5):%Y-%m-%d}"}


# --- being told to stop ---------------------------------------------------------------------------


def test_sigterm_ends_the_read_at_once_between_lines(crm: Connector) -> None:
    hold = threading.Event()

    def slow(asked: Asked) -> Answer:
        if asked.query["page"] == "2":
            hold.wait(20)
        return collection("page", records(12))(asked)

    with serving(Api(routes={"/by_page": slow})) as api:
        began = time.monotonic()
        said = killed_after(crm, 1, crm.read_arguments(config(api.url), ["by_page"]), signal.SIGTERM)
        took = time.monotonic() - began
        hold.set()
    assert said.code == -signal.SIGTERM
    assert took < 10
    validated(said)
    assert said.statuses("by_page")[-1] == "INCOMPLETE"
    assert said.last_states()[0]["stream"]["stream_state"] == {"next": 2}


def test_sigterm_ends_a_process_whose_output_nobody_reads(crm: Connector, tmp_path: Path) -> None:
    big = [{"id": n, "name": "x" * 1000, "updated_at": ""} for n in range(500)]
    with serving(Api(routes={"/by_none": collection("none", big)})) as api:
        arguments = crm.command(*crm.read_arguments(config(api.url), ["by_none"]))
        process = subprocess.Popen(arguments, env=crm.environment, stdout=subprocess.PIPE)
        while not api.asked:
            time.sleep(0.02)
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert process.stdout is not None
        process.stdout.close()
