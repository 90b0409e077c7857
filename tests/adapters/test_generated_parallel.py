"""Streams, partitions and pages are read side by side, and nothing that held for one after the other is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contracts.blueprint import OffsetPagination, PageNumberPagination, PageSize
from infra.runtime import clock
from tests.support.blueprints import PAGINATIONS, UPDATED_SINCE, blueprint, child, stream
from tests.support.connector_process import Connector, Said
from tests.support.generated import connector
from tests.support.paged_api import Answer, Api, Asked, Route, collection, records, serving

TEN = [f"s{number}" for number in range(10)]
BY_TOTAL = OffsetPagination(param="offset", size=PageSize(param="limit", value=5), total_path=("meta", "total"))
BY_PAGES = PageNumberPagination(param="page", start=0, total_pages_path=("meta", "pages"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    """Ten streams with a cursor, three that can be asked for ahead, and one of each parent's kids."""
    return connector(
        blueprint(
            *(stream(name, pagination=PAGINATIONS["cursor"]) for name in TEN),
            stream("offsets", pagination=BY_TOTAL),
            stream("pages", pagination=BY_PAGES),
            stream("blind", pagination=PAGINATIONS["page"]),
            stream("parents", pagination=PAGINATIONS["offset"]),
            child("kids", "parents", "/parents/{p}/kids", "p", pagination=PAGINATIONS["cursor"]),
            schemes=(),
        ),
        tmp_path_factory.mktemp("parallel"),
    )


class Meter:
    """How many requests are answered at a time; each takes ``delay_s``."""

    def __init__(self, delay_s: float) -> None:
        self.most = 0
        self._delay_s = delay_s
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self._delay_s)
        with self._lock:
            self._now -= 1


def ten(api: Api, count: int = 17) -> None:
    api.routes |= {f"/{name}": collection("cursor", records(count), api=api) for name in TEN}


def config(api: Api, **more: Any) -> dict[str, Any]:
    return {"base_url": api.url, **more}


# --- side by side ---------------------------------------------------------------------------------


def test_streams_are_read_side_by_side_each_in_its_order(made: Connector) -> None:
    meter = Meter(0.05)
    with serving(Api(guard=meter)) as api:
        ten(api)
        said = made.read(config(api), *TEN)
    assert said.code == 0, said.stdout
    assert all(said.records(name) == records(17) for name in TEN)
    assert 4 < meter.most <= 10, "many requests at a time, and not more than there may be"
    for name in TEN:
        assert said.statuses(name) == ["STARTED", "RUNNING", "COMPLETE"]


def test_partitions_are_read_side_by_side_each_in_its_order(made: Connector) -> None:
    meter = Meter(0.03)
    with serving(Api(guard=lambda asked: meter(asked) if "kids" in asked.path else None)) as api:
        api.routes["/parents"] = collection("offset", records(20), api=api)
        for parent in range(1, 21):
            api.routes[f"/parents/{parent}/kids"] = collection("cursor", records(7, start=parent * 100), api=api)
        said = made.read(config(api), "kids")
    assert said.code == 0, said.stdout
    found = said.records("kids")
    for parent in range(1, 21):
        own = [record for record in found if record["id"] // 100 == parent]
        assert own == records(7, start=parent * 100)
    assert len(found) == 140
    assert meter.most > 3


@pytest.mark.parametrize(("name", "kind"), [("offsets", "offset"), ("pages", "page_zero"), ("blind", "page")])
def test_pages_that_can_be_told_are_asked_for_ahead(made: Connector, name: str, kind: str) -> None:
    meter = Meter(0.03)
    with serving(Api(guard=meter)) as api:
        api.routes[f"/{name}"] = collection(kind, records(203), api=api)
        said = made.read(config(api), name)
    assert said.code == 0, said.stdout
    assert said.records(name) == records(203)
    assert meter.most > 2
    asked = Counter(asked.query.get("offset", asked.query.get("page")) for asked in api.asked)
    assert max(asked.values()) == 1
    assert len(api.asked) <= 41 + 41 // 4 + 2, "without a total hardly more is asked for in vain than a quarter"


def test_a_page_that_is_shorter_than_told_makes_no_hole(made: Connector) -> None:
    """What was asked for ahead by a wrong guess is dropped, not written."""
    held = records(40)

    def uneven(asked: Asked) -> Answer:
        begin = int(asked.query["offset"])
        size = 3 if begin == 10 else 5
        return Answer(body={"data": held[begin : begin + size], "meta": {"total": len(held)}})

    with serving(Api(routes={"/offsets": uneven})) as api:
        said = made.read(config(api), "offsets")
    assert said.code == 0, said.stdout
    assert said.records("offsets") == held


def test_what_is_asked_for_beyond_the_end_may_fail(made: Connector) -> None:
    def strict(asked: Asked) -> Answer:
        held = collection("page", records(62))(asked)
        return held if held.body["data"] or asked.query["page"] == "14" else Answer(404, {"error": "no such page"})

    with serving(Api(routes={"/blind": strict})) as api:
        said = made.read(config(api), "blind")
    assert said.code == 0, said.stdout
    assert said.records("blind") == records(62)
    assert said.stderr == ""


def test_next_page_is_asked_for_while_nobody_takes_the_present_one(made: Connector) -> None:
    """And not more than that: a consumer that stops makes the connector stop."""
    big = [{**record, "text": "x" * 40_000} for record in records(60)]
    with serving(Api(routes={"/s0": collection("cursor", big)})) as api:
        arguments = made.command(*made.read_arguments(config(api), ["s0"]))
        process = subprocess.Popen(arguments, env=made.environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        _wait_until(lambda: len(api.asked) >= 2)
        time.sleep(0.7)
        asked_while_blocked = len(api.asked)
        lines = process.stdout.read().splitlines()
        process.stdout.close()
        assert process.wait(timeout=20) == 0
    assert asked_while_blocked == 2
    assert sum(json.loads(line)["type"] == "RECORD" for line in lines) == 60


def _wait_until(true: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- what goes wrong ------------------------------------------------------------------------------


def test_stream_that_fails_leaves_the_nine_others_alone(made: Connector) -> None:
    with serving(Api(guard=Meter(0.01))) as api:
        ten(api)
        whole = api.routes["/s4"]
        api.routes["/s4"] = lambda asked: whole(asked) if "cursor" not in asked.query else Answer(422, {"e": "no"})
        said = made.read(config(api), *TEN)
    assert said.code == 1
    assert [error["stream_descriptor"]["name"] for error in said.errors()] == ["s4"]
    assert said.records("s4") == records(5)
    assert said.statuses("s4")[-1] == "INCOMPLETE"
    for name in set(TEN) - {"s4"}:
        assert said.records(name) == records(17)
        assert said.statuses(name)[-1] == "COMPLETE"


def test_parent_that_fails_fails_its_child_without_being_asked_again(made: Connector) -> None:
    with serving(Api()) as api:
        api.routes["/parents"] = lambda asked: Answer(403)
        said = made.read(config(api), "parents", "kids")
        assert api.count("/parents") == 1
    assert said.code == 1
    assert {error["stream_descriptor"]["name"] for error in said.errors()} == {"parents", "kids"}
    assert said.statuses("kids") == ["STARTED", "INCOMPLETE"]


def read_until(made: Connector, arguments: list[str], checkpoints: int, sent: signal.Signals) -> Said:
    """Send the signal after so many checkpoints; everything that was written, also after it."""
    process = subprocess.Popen(
        made.command(*arguments), env=made.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[bytes] = []
    for line in process.stdout:
        lines.append(line)
        checkpoints -= line.startswith(b'{"type":"STATE"')
        if checkpoints == 0:
            process.send_signal(sent)
    errors = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    text = b"".join(line for line in lines if line.endswith(b"\n")).decode()
    return Said(process.wait(timeout=20), text, errors)


@pytest.mark.parametrize("checkpoints", [1, 6, 17])
def test_killed_while_many_streams_are_read_it_goes_on_in_each(made: Connector, checkpoints: int) -> None:
    names = [*TEN[:5], "offsets", "kids"]

    with serving(Api(guard=Meter(0.005))) as api:
        ten(api)
        api.routes["/offsets"] = collection("offset", records(33), api=api)
        api.routes["/parents"] = collection("offset", records(6), api=api)
        for parent in range(1, 7):
            api.routes[f"/parents/{parent}/kids"] = collection("cursor", records(8, start=parent * 100), api=api)
        arguments = made.read_arguments(config(api), names)
        first = read_until(made, arguments, checkpoints, signal.SIGKILL)
        second = made.read(config(api), *names, state=first.last_states())
    assert first.code == -signal.SIGKILL
    assert second.code == 0, second.stdout
    for name in TEN[:5]:
        assert _united(first, second, name, {"": records(17)})
    assert _united(first, second, "offsets", {"": records(33)})
    kids = {str(parent): records(8, start=parent * 100) for parent in range(1, 7)}
    assert _united(first, second, "kids", kids, of=lambda record: str(record["id"] // 100))
    _states_tell_the_truth(first)


def _united(
    first: Said,
    second: Said,
    name: str,
    expected: dict[str, list[dict[str, Any]]],
    of: Callable[[dict[str, Any]], str] = lambda record: "",
) -> bool:
    """Each partition is complete, and of each at most one page came twice."""
    came = Counter(record["id"] for said in (first, second) for record in said.records(name))
    assert set(came) == {record["id"] for held in expected.values() for record in held}
    for partition, held in expected.items():
        again = sum(came[record["id"]] - 1 for record in held)
        assert again <= 5, f"{name} {partition}: {again} records came again"
    return all(of(record) in expected for record in second.records(name))


def _states_tell_the_truth(said: Said) -> None:
    """A state counts the records that came since the one before: none that is still to come."""
    since: Counter[str] = Counter()
    for message in said.messages:
        if message["type"] == "RECORD":
            since[message["record"]["stream"]] += 1
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            assert message["state"]["sourceStats"]["recordCount"] == since.pop(name, 0)


def test_sigterm_ends_all_streams_between_lines(made: Connector) -> None:
    with serving(Api(guard=Meter(0.05))) as api:
        ten(api, count=40)
        began = time.monotonic()
        said = read_until(made, made.read_arguments(config(api), TEN), 12, signal.SIGTERM)
        took_s = time.monotonic() - began
    assert said.code == -signal.SIGTERM
    assert took_s < 10
    assert {said.statuses(name)[-1] for name in TEN} == {"INCOMPLETE"}
    assert said.stderr == ""
    _states_tell_the_truth(said)


def test_sigterm_ends_many_streams_whose_output_nobody_takes(made: Connector) -> None:
    big = [{**record, "text": "x" * 40_000} for record in records(30)]
    with serving(Api(routes={f"/{name}": collection("cursor", big) for name in TEN})) as api:
        arguments = made.command(*made.read_arguments(config(api), TEN))
        process = subprocess.Popen(arguments, env=made.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _wait_until(lambda: len(api.asked) >= 10)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def test_a_closed_output_ends_the_read_at_once(made: Connector) -> None:
    with serving(Api(guard=Meter(0.05))) as api:
        ten(api, count=500)
        arguments = made.command(*made.read_arguments(config(api), TEN))
        process = subprocess.Popen(arguments, env=made.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 1
        assert process.stderr.read().decode() == "Nobody reads the output any more.\n"
        process.stderr.close()


# --- one budget -----------------------------------------------------------------------------------


class Quota:
    """An API with a quota: ``requests`` in each window of ``window_s``, told in the headers of ``form``."""

    def __init__(self, requests: int, window_s: float, form: str) -> None:
        self.refused = 0
        self._requests, self._window_s, self._form = requests, window_s, form
        self._ends, self._left = 0.0, 0
        self._lock = threading.Lock()

    def answer(self, route: Route, asked: Asked) -> Answer:
        with self._lock:
            now = clock.epoch_s()
            if now >= self._ends:
                self._ends, self._left = now + self._window_s, self._requests
            self._left -= 1
            headers = self._headers(max(0, self._left), self._ends - now)
            if self._left < 0:
                self.refused += 1
                return Answer(429, headers={"Retry-After": str(int(self._ends - now) + 1)})
        answer = route(asked)
        return Answer(answer.status, answer.body, {**answer.headers, **headers})

    def _headers(self, left: int, reset_s: float) -> dict[str, str]:
        reset = str(int(reset_s) + 1)
        if self._form == "draft":
            return {"RateLimit": f'"default";r={left};t={reset}', "RateLimit-Policy": '"default";q=12;w=1'}
        if self._form == "epoch":
            return {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(int(self._ends) + 1)}
        return {"RateLimit-Limit": "12", "RateLimit-Remaining": str(left), "RateLimit-Reset": reset}


@pytest.mark.parametrize("form", ["draft", "epoch", "fields"])
def test_quota_told_in_headers_is_not_exceeded_by_all_streams_together(made: Connector, form: str) -> None:
    quota = Quota(12, 1.0, form)
    with serving(Api()) as api:
        ten(api, count=12)
        api.routes = {path: partial(quota.answer, route) for path, route in api.routes.items()}
        said = made.read(config(api), *TEN)
    assert said.code == 0, said.stdout
    assert all(said.records(name) == records(12) for name in TEN)
    # whoever knows no quota is refused 18 times; a request on its way when the window turns counts in the next one
    assert quota.refused <= 2
    assert len(api.asked) == 30 + quota.refused
    limited = [trace for trace in said.of("TRACE") if trace.get("stream_status", {}).get("reasons")]
    assert limited, "who waits says so"


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_refusal_of_one_request_pauses_all(made: Connector, how: str) -> None:
    arrivals: list[float] = []
    struck = threading.Event()

    def guard(asked: Asked) -> Answer | None:
        arrivals.append(time.monotonic())
        if len(arrivals) == 15:
            struck.set()
            later = "2" if how == "seconds" else formatdate(clock.epoch_s() + 2, usegmt=True)
            return Answer(429, headers={"Retry-After": later})
        time.sleep(0.02)
        return None

    with serving(Api(guard=guard)) as api:
        ten(api)
        said = made.read(config(api), *TEN)
    assert said.code == 0, said.stdout
    assert struck.is_set()
    assert all(said.records(name) == records(17) for name in TEN)
    pause_s, before = max((later - one, n) for n, (one, later) in enumerate(pairwise(arrivals)))
    assert pause_s > 0.9, "all wait"
    assert before <= 15 + 10, "only what was under way already still comes"


def test_an_api_that_takes_two_at_a_time_gets_two_at_a_time(made: Connector) -> None:
    lock, now, refused = threading.Lock(), [0], [0]

    def one_of_two(route: Route) -> Route:
        def answer(asked: Asked) -> Answer:
            with lock:
                if now[0] >= 2:
                    refused[0] += 1
                    return Answer(429)
                now[0] += 1
            time.sleep(0.01)
            with lock:
                now[0] -= 1
            return route(asked)

        return answer

    with serving(Api()) as api:
        ten(api, count=40)
        api.routes = {path: one_of_two(route) for path, route in api.routes.items()}
        said = made.read(config(api), *TEN)
    assert said.code == 0, said.stdout
    assert all(said.records(name) == records(40) for name in TEN)
    assert refused[0] < 30


def test_a_403_that_tells_of_a_used_up_quota_is_waited_for(made: Connector) -> None:
    with serving(Api()) as api:
        ten(api)
        spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(clock.epoch_s()) + 2)}
        api.first = {"/s0": [Answer(403, {"message": "API rate limit exceeded"}, spent)]}
        said = made.read(config(api), "s0")
    assert said.code == 0, said.stdout
    assert said.records("s0") == records(17)


# --- lookback -------------------------------------------------------------------------------------


def test_lookback_asks_for_what_came_late_and_moves_no_cursor_back(tmp_path: Path) -> None:
    things = connector(
        blueprint(stream("things", pagination=PAGINATIONS["offset"], cursor=UPDATED_SINCE), schemes=()), tmp_path
    )
    held = [{"id": n, "updated_at": f"2024-01-{n:02}T00:00:00Z"} for n in range(1, 21)]
    with serving(Api(routes={"/things": collection("offset", held)})) as api:
        first = things.read(config(api), "things", mode="incremental")
        api.asked.clear()
        again = things.read(config(api, lookback_days=3), "things", mode="incremental", state=first.last_states())
    assert api.asked[0].query["updated_since"] == "2024-01-17T00:00:00Z"
    assert [record["id"] for record in again.records("things")] == [17, 18, 19, 20]
    assert again.last_states()[0]["stream"]["stream_state"] == {"cursor": "2024-01-20T00:00:00Z"}
    assert "lookback_days" in things.read({"base_url": "http://x", "lookback_days": -1}, "things").stdout
