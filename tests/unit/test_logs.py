"""What the log must never show."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from infra.runtime import logs
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry.context import Place, at


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        ("sent Authorization: Bearer abcdef1234567890", "abcdef1234567890", "sent Authorization"),
        ('{"api_key": "k3y-0f-m1ne", "name": "x"}', "k3y-0f-m1ne", '"name": "x"'),
        ("GET /v1?access_token=t0ken123&page=2", "t0ken123", "page=2"),
        ("postgresql://store:hunter2@db/events", "hunter2", "@db/events"),
        ("key sk-ant-REDACTED failed", "sk-ant-REDACTED", "failed"),
        ("client_secret='very secret'", "very", "client_secret"),
        ("nats://tester:p4ssw0rd@bus-1:4222,nats://tester:p4ssw0rd@bus-2:4222", "p4ssw0rd", "@bus-2:4222"),
        ("seed " + "SU" + "A2" * 28 + " was refused", "A2" * 10, "was refused"),
        ("OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20abcdef123456", "abcdef123456", "OTLP_HEADERS"),
        ("POST with x-api-key: c0llect0r-key", "c0llect0r-key", "POST with"),
    ],
)
def test_credentials_are_blanked_out_and_the_rest_is_kept(text: str, secret: str, kept: str) -> None:
    shown = logs.redact(text)
    assert secret not in shown
    assert kept in shown


@pytest.mark.parametrize("text", ["tests passed: 9", "token bucket is empty", "https://api.example.com/v1?page=2"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert logs.redact(text) == text


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Put back what a process's own configuration replaces."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("root_logger")
def test_traces_are_blanked_out_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(BusSettings(nats_password="bus-password-1", log_format="json"), "research")
    try:
        raise RuntimeError("refused for bus-password-1")
    except RuntimeError:
        logging.getLogger("x").exception("cannot connect with bus-password-1")
    line = capsys.readouterr().err
    entry = json.loads(line)
    assert "bus-password-1" not in line
    assert (entry["service"], entry["level"]) == ("research", "ERROR")
    assert "RuntimeError" in entry["trace"]


@pytest.mark.usefixtures("root_logger")
def test_a_collectors_key_is_blanked_out_as_written_and_as_sent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=k3y%20of%20a%20team,x-other=0ther-key")
    logs.configure(BusSettings(), "gateway")
    logging.getLogger("x").warning("sent %s, %s and %s", "k3y of a team", "k3y%20of%20a%20team", "0ther-key")
    line = capsys.readouterr().err
    assert [word for word in ("k3y", "0ther") if word in line] == []


@pytest.mark.usefixtures("root_logger")
@pytest.mark.parametrize("form", ["json", "human"])
def test_a_line_says_whose_it_is(capsys: pytest.CaptureFixture[str], form: Literal["json", "human"]) -> None:
    logs.configure(BusSettings(log_format=form), "tester")
    logger = logging.getLogger("x")
    with at(Place("a" * 32, "b" * 16, "task-1")):
        logger.warning("inside")
    logger.warning("outside")
    inside, outside = capsys.readouterr().err.splitlines()
    if form == "json":
        whose = {"pipeline": "a" * 32, "trace_id": "a" * 32, "span_id": "b" * 16, "task": "task-1"}
        assert json.loads(inside).items() >= whose.items()
        assert json.loads(outside).keys() & whose.keys() == set()
    else:
        assert inside.endswith(f"inside [pipeline={'a' * 32} task=task-1]")
        assert outside.endswith("outside")
