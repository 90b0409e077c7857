"""What the log must never show."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from infra.runtime import logs
from infra.runtime.settings import BusSettings


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        ("sent Authorization: Bearer abcdef1234567890", "abcdef1234567890", "sent Authorization"),
        ('{"api_key": "k3y-0f-m1ne", "name": "x"}', "k3y-0f-m1ne", '"name": "x"'),
        ("GET /v1?access_token=t0ken123&page=2", "t0ken123", "page=2"),
        ("postgresql://store:hunter2@db/events", "hunter2", "@db/events"),
        ("key sk-ant-REDACTED failed", "sk-ant-REDACTED", "failed"),
        ("client_secret='very secret'", "very", "client_secret"),
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
