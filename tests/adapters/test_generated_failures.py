"""What fails is tried again or told in the right words; the other streams go on; nothing is lost on the way."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from contracts.blueprint import RateLimit
from infra.runtime import clock
from tests.support.blueprints import PAGINATIONS, blueprint, child, stream
from tests.support.connector_process import Connector, Said, validated
from tests.support.generated import TOKEN, config, connector
from tests.support.paged_api import Answer, Api, collection, records, serving


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    streams = [stream(name, pagination=PAGINATIONS["page"]) for name in ("a", "b", "c")]
    kids = child("kids", "a", "/a/{a}/kids", "a")
    return connector(blueprint(*streams, kids), tmp_path_factory.mktemp("failures"))


def healthy(api: Api) -> None:
    api.routes = {f"/{name}": collection("page", records(7), api=api) for name in "abc"}


def statuses(said: Said) -> dict[str, str]:
    return {name: said.statuses(name)[-1] for name in "abc"}


def test_passing_faults_are_tried_again_and_lose_nothing(made: Connector) -> None:
    with serving(Api()) as api:
        healthy(api)
        soon = formatdate(clock.epoch_s() + 2, usegmt=True)
        api.first = {
            "/a": [
                Answer(429, headers={"Retry-After": "1"}),
                Answer(500),
                Answer(body={"data": records(5)}, cut=True),
            ],
            "/b": [
                Answer(429, headers={"Retry-After": soon}),
                Answer(raw=b'{"data": [{"id": 1}, {"id"'),
                Answer(503, raw=b"<html>busy</html>"),
            ],
            "/c": [Answer(429, headers={"X-RateLimit-Reset": str(int(clock.epoch_s()) + 1)}), Answer(502)],
        }
        said = made.read(config(api.url), "a", "b", "c")
    assert said.code == 0, said.stdout
    for name in "abc":
        assert said.records(name) == records(7)
    waits = [trace["stream_status"] for trace in said.of("TRACE") if trace.get("stream_status", {}).get("reasons")]
    assert {wait["stream_descriptor"]["name"] for wait in waits} == {"a", "b", "c"}
    assert waits[0]["reasons"][0]["rate_limited"]["quota_reset"] > 1_700_000_000_000


@pytest.mark.parametrize(
    ("answer", "failure", "words"),
    [
        (Answer(401, {"m": "no"}), "config_error", "refuses the credentials (401)"),
        (Answer(403, {"m": f"not with {TOKEN}"}), "config_error", "no right to read this (403)"),
        (Answer(404), "system_error", "no such thing (404)"),
        (Answer(422, {"m": "page?"}), "system_error", "refuses the request (422)"),
        (Answer(302, headers={"Location": "https://elsewhere.example/"}), "system_error", "another host"),
        (Answer(200, raw=b"<html>", headers={"Content-Type": "text/html"}), "system_error", "web page"),
    ],
)
def test_refusal_of_one_stream_is_classified_and_the_others_go_on(
    made: Connector, answer: Answer, failure: str, words: str
) -> None:
    with serving(Api()) as api:
        healthy(api)
        api.routes["/b"] = lambda asked: answer
        said = made.read(config(api.url), "a", "b", "c")
    assert said.code == 1
    assert statuses(said) == {"a": "COMPLETE", "b": "INCOMPLETE", "c": "COMPLETE"}
    (error,) = said.errors()
    assert error["failure_type"] == failure
    assert error["stream_descriptor"]["name"] == "b"
    assert words in error["message"]
    assert api.count("/b") == 1
    assert TOKEN not in said.stdout


def test_lasting_fault_is_transient_and_bounded(made: Connector) -> None:
    with serving(Api()) as api:
        healthy(api)
        api.routes["/b"] = lambda asked: Answer(500)
        said = made.read(config(api.url), "a", "b", "c")
    assert said.code == 1
    assert statuses(said) == {"a": "COMPLETE", "b": "INCOMPLETE", "c": "COMPLETE"}
    assert said.errors()[0]["failure_type"] == "transient_error"
    assert api.count("/b") == 6


def test_wait_that_is_too_long_is_not_waited_for(made: Connector) -> None:
    with serving(Api()) as api:
        healthy(api)
        api.routes["/b"] = lambda asked: Answer(429, headers={"Retry-After": "86400"})
        said = made.read(config(api.url), "b")
    assert said.code == 1
    assert "asks to wait 86400 s" in said.errors()[0]["message"]
    assert api.count("/b") == 1


def test_redirect_inside_the_origin_is_followed_with_credentials(made: Connector) -> None:
    with serving(Api()) as api:
        healthy(api)
        api.routes["/b/"] = api.routes.pop("/b")
        api.routes["/b"] = lambda asked: Answer(301, headers={"Location": f"/b/?page={asked.query['page']}"})
        said = made.read(config(api.url), "b")
    assert said.code == 0, said.stdout
    assert said.records("b") == records(7)
    assert all(asked.headers["Authorization"] == f"Bearer {TOKEN}" for asked in api.asked)


def test_check_says_what_is_wrong(made: Connector) -> None:
    with serving(Api()) as api:
        healthy(api)
        assert made.check(config(api.url)).connection_status["status"] == "SUCCEEDED"
        api.routes["/a"] = lambda asked: Answer(403)
        assert made.check(config(api.url)).connection_status["status"] == "SUCCEEDED", "b can be read"
        nowhere = api.url
    unreachable = made.check(config(nowhere))
    assert unreachable.connection_status["status"] == "FAILED"
    assert "no connection to 127.0.0.1 could be made; check base_url" in unreachable.connection_status["message"]
    assert unreachable.code == 0


def test_rate_limit_of_the_api_is_kept_without_being_told(tmp_path: Path) -> None:
    known = blueprint(
        stream("things", pagination=PAGINATIONS["page"]), schemes=(), rate_limit=RateLimit(requests=3, per_s=1)
    )
    arrivals: list[float] = []
    with serving(Api(guard=lambda asked: arrivals.append(time.monotonic()))) as api:
        api.routes["/things"] = collection("page", records(32), api=api)
        said = connector(known, tmp_path).read({"base_url": api.url}, "things")
    assert said.records("things") == records(32)
    assert len(arrivals) == 9, "seven pages, the empty one after them, and the one before the first"
    assert all(later - first > 0.9 for first, later in zip(arrivals, arrivals[3:], strict=False))


BAD_FILES = {
    "a catalog that is no JSON": ("--catalog", "{", "catalog"),
    "a catalog without streams": ("--catalog", '{"streams": {}}', "list of streams"),
    "a stream without a name": ("--catalog", '{"streams": [{"stream": {}}]}', "stream 0 has no name"),
    "a state that is no list": ("--state", '{"a": 1}', "list of stream states"),
    "a state without a stream": ("--state", '[{"type": "STREAM"}]', "entry 0"),
    "a state of another connector": (
        "--state",
        '[{"stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"next": {"x": 1}}}}]',
        "state of stream a is not usable",
    ),
    "a config that is no JSON": ("--config", "]", "is not JSON: line 1, column 1"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_input_file_is_told_as_an_error_trace(made: Connector, name: str) -> None:
    option, text, words = BAD_FILES[name]
    with serving(Api()) as api:
        healthy(api)
        arguments = made.read_arguments(config(api.url), ["a"], state=[])
        Path(arguments[arguments.index(option) + 1]).write_text(text)
        said = validated(made.run(*arguments))
    assert said.code == 1
    assert said.errors()[0]["failure_type"] == "config_error"
    assert words in said.errors()[0]["message"]
    assert said.of("STATE") == [], "a state that is not understood is not replaced"


def test_unknown_stream_fails_alone(made: Connector) -> None:
    with serving(Api()) as api:
        healthy(api)
        said = made.read(config(api.url), "a", "zebra")
    assert said.code == 1
    assert said.statuses("a")[-1] == "COMPLETE"
    assert said.statuses("zebra") == ["INCOMPLETE"]
    assert "no stream zebra" in said.errors()[0]["message"]
