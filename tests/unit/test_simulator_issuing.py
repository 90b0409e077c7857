"""Who is given a token: JWTs are verified for real, logins want the configured credentials."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from contracts.simulation import AuthCheck, OAuth2Check, SessionCheck
from infra.runtime import clock
from infra.runtime.simulator import Plan
from infra.runtime.simulator.issuing import JWT_BEARER, Issuer
from infra.runtime.simulator.messages import Reply, Request
from services.tester.conformance.configuration import private_key

GOOGLE = OAuth2Check(token_path="/token", grants=("refresh_token", "jwt_bearer"), direct=True)
LOGIN = SessionCheck(login_path="/login", members=("password",), token_path=("data", "token"))
URL = "http://api.test/token"
EMAIL = "reader@acme.iam.gserviceaccount.com"
ACCOUNT = json.dumps({"client_email": EMAIL, "private_key": private_key()})


def issuer(*checks: AuthCheck, secrets: frozenset[str] | None = frozenset({ACCOUNT, "pass"})) -> Issuer:
    return Issuer(checks, "/v1", Plan(secrets=secrets), lambda: 0.0)


def ask(asked: Issuer, path: str, body: bytes, media_type: str = "application/x-www-form-urlencoded") -> Reply:
    return asked.answer(Request("POST", path, {}, {"host": "api.test", "content-type": media_type}, body))


def exchange(assertion: str, *checks: AuthCheck, **options: Any) -> Reply:
    form = {"grant_type": JWT_BEARER, "assertion": assertion}
    return ask(issuer(*(checks or (GOOGLE,)), **options), "/token", urlencode(form).encode())


def claims(**changed: Any) -> dict[str, Any]:
    now = int(clock.epoch_s())
    told = {"iss": EMAIL, "aud": URL, "scope": "read", "iat": now, "exp": now + 3600, **changed}
    return {name: value for name, value in told.items() if value is not None}


def signed(**changed: Any) -> str:
    return jwt.encode(claims(**changed), private_key(), algorithm="RS256")


def test_a_jwt_signed_by_a_configured_account_gets_a_token_that_is_honoured() -> None:
    asked = issuer(GOOGLE)
    form = {"grant_type": JWT_BEARER, "assertion": signed()}
    reply = ask(asked, "/token", urlencode(form).encode())
    assert reply.status == 200
    assert asked.honours(json.loads(reply.body)["access_token"])
    assert not asked.honours("access-99")


def other_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*form).decode()


NOW = int(clock.epoch_s())
BAD: dict[str, tuple[Any, str]] = {
    "another key": (lambda: jwt.encode(claims(), other_key(), algorithm="RS256"), "Signature verification failed"),
    "no signature": (lambda: jwt.encode(claims(), None, algorithm="none"), "alg value"),
    "another account": (lambda: signed(iss="somebody@else"), "account not found"),
    "another audience": (lambda: signed(aud="https://oauth2.example/token"), "Audience"),
    "no scope": (lambda: signed(scope=None), "scope"),
    "expired": (lambda: signed(iat=NOW - 7200, exp=NOW - 3600), "Check your iat and exp"),
    "from the future": (lambda: signed(iat=NOW + 3600, exp=NOW + 7200), "Check your iat and exp"),
    "too long a life": (lambda: signed(exp=NOW + 86400), "Check your iat and exp"),
    "no JWT": (lambda: "abc", "Invalid JWT"),
}


@pytest.mark.parametrize("name", BAD)
def test_any_other_jwt_is_refused_with_the_reason(name: str) -> None:
    make, words = BAD[name]
    reply = exchange(make())
    assert reply.status == 400
    answer = json.loads(reply.body)
    assert answer["error"] == "invalid_grant"
    assert words in answer["error_description"]


def test_a_server_that_knows_no_jwts_says_so() -> None:
    reply = exchange(signed(), OAuth2Check(token_path="/token", grants=("refresh_token",)))
    assert json.loads(reply.body)["error"] == "unsupported_grant_type"


def test_nobody_is_let_in_where_nothing_is_configured() -> None:
    assert exchange(signed(), secrets=frozenset()).status == 400


@pytest.mark.parametrize("kind", ["json", "form"])
def test_a_login_wants_the_configured_credentials(kind: str) -> None:
    def send(**members: str) -> Reply:
        if kind == "json":
            return ask(asked, "/v1/login", json.dumps(members).encode(), "application/json")
        return ask(asked, "/v1/login", urlencode(members).encode())

    asked = issuer(LOGIN)
    assert asked.paths == {"/v1/login"}
    assert asked.token_paths == frozenset()
    assert asked.honours(json.loads(send(user="x", password="pass").body)["data"]["token"])
    assert [send(user="x", password="word").status, send(user="x").status] == [401, 401]


def test_a_login_may_set_a_cookie() -> None:
    asked = issuer(LOGIN.model_copy(update={"token_path": (), "cookie": "SID"}))
    reply = ask(asked, "/v1/login", b"password=pass")
    (cookie,) = (value for name, value in reply.headers if name == "Set-Cookie")
    assert asked.honours(cookie.removeprefix("SID=").partition(";")[0])
