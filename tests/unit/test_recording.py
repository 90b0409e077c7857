"""A recording of the real API: what is kept of it, and what never is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from contracts.errors import Rejected
from infra.runtime import recording
from infra.runtime.recording import BLANK, is_secret, read_har, sanitised

SECRET = "s3cr3t/0f-the+browser"


def entry(url: str = "https://api.acme.io/v1/things", body: Any = None, **more: Any) -> dict[str, Any]:
    content = {"mimeType": "application/json", "text": json.dumps({"data": []} if body is None else body)}
    return {
        "request": {"method": "GET", "url": url, "headers": [], "cookies": [], **more.pop("request", {})},
        "response": {"status": 200, "headers": [], "content": content, **more.pop("response", {})},
        **more,
    }


def har(*entries: Any) -> bytes:
    return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()


def named(**pairs: str) -> list[dict[str, str]]:
    return [{"name": name.replace("_", "-"), "value": value} for name, value in pairs.items()]


def test_path_query_status_paging_headers_and_body_are_kept() -> None:
    headers = named(Content_Type="application/json", Link='</v1/things?page=2>; rel="next"', X_RateLimit_Reset="9")
    recorded = entry(
        "https://api.acme.io/v1/things?page=1&q=a%20b", {"data": [{"id": 1}]}, response={"headers": headers}
    )
    (answer,) = read_har(har(recorded)).answers
    assert (answer.method, answer.path, answer.status) == ("GET", "/v1/things", 200)
    assert answer.query == (("page", "1"), ("q", "a b"))
    assert answer.headers == {
        "content-type": "application/json",
        "link": '</v1/things?page=2>; rel="next"',
        "x-ratelimit-reset": "9",
    }
    assert answer.body == {"data": [{"id": 1}]}


def test_no_credential_is_kept_wherever_it_stands() -> None:
    sent = named(Authorization=f"Bearer {SECRET}", X_Api_Key=f"{SECRET}-2", Cookie=f"sid={SECRET}-3; theme=dark")
    body = {
        "next": f"https://api.acme.io/v1/things?api_key={SECRET}&page=2",
        "echo": f"you are {SECRET}",
        "access_token": "fresh-token",
        "data": [{"id": 1, "webhookSecret": "whsec_1"}],
    }
    given = {
        "headers": sent,
        "cookies": named(sid=f"{SECRET}-3"),
        "postData": {"text": f"password={SECRET}"},
    }
    url = f"https://user:{SECRET}-4@api.acme.io/v1/{SECRET}-4/things?token=other-secret&page=2"
    headers = named(Set_Cookie=f"sid={SECRET}-5", Link=f'<https://a.io/v1/things?sig={SECRET}>; rel="next"')
    kept = sanitised(har(entry(url, body, request=given, response={"headers": headers}))).decode()
    for secret in (SECRET, "other-secret", "fresh-token", "whsec_1", "dark", "user:"):
        assert secret not in kept, secret
    (answer,) = json.loads(kept)["answers"]
    assert answer["query"] == [["token", BLANK], ["page", "2"]]
    assert answer["body"]["next"] == f"https://api.acme.io/v1/things?api_key={BLANK}&page=2"
    assert set(answer["headers"]) == {"link"}


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("api_key", True),
        ("accessToken", True),
        ("X-Api-Key", True),
        ("client_secret", True),
        ("session[id]", True),
        ("page_token", False),
        ("nextPageToken", False),
        ("continuation_token", False),
        ("primary_key", False),
        ("monkey", False),
        ("author", False),
    ],
)
def test_tokens_of_pages_are_no_secrets(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_base64_bodies_are_read_and_other_content_is_left_out() -> None:
    encoded = {
        "mimeType": "application/json; charset=utf-8",
        "encoding": "base64",
        "text": base64.b64encode(b'[{"id": 1}]').decode(),
    }
    page = {"mimeType": "text/html", "text": "<html>"}
    recorded = har(
        entry(response={"content": page}),
        entry(response={"content": {"mimeType": "application/json", "text": "{"}}),
        entry(request={"method": "DELETE"}),
        entry(response={"status": "200"}),
        entry(response={"content": encoded}),
        "no entry",
    )
    assert [answer.body for answer in read_har(recorded).answers][-1] == [{"id": 1}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"\x89PNG", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "log.entries"),
        (b'{"log": {"entries": {}}}', "log.entries"),
        (har(), "no JSON answer"),
        (har(*[{}] * (recording.MAX_ENTRIES + 1)), "more than 5,000 entries"),
        (b" " * (recording.MAX_HAR_BYTES + 1), "larger than"),
        (har(entry("http://[", {})), "no JSON answer"),
        (
            har(*[entry(request={"headers": named(Cookie=f"secret-{n}=v{n:06}")}) for n in range(600)]),
            "credentials",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_recording_is_refused_with_the_reason(content: bytes, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        read_har(content)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_ANSWERS", 3)
    deep: Any = 1
    for _ in range(150):
        deep = {"in": deep}
    answers = read_har(har(entry(body=deep), *[entry(body={"text": "x" * 9000})] * 9)).answers
    assert len(answers) == 3
    assert len(json.dumps(answers[0].body)) < 60 * recording.MAX_DEPTH
    assert len(answers[1].body["text"]) == recording.MAX_TEXT
