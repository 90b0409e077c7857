"""Who the simulated server lets in, of what a document says of logins and of Google's tokens."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.simulation import ApiKeyCheck, AuthWay, BearerCheck, OAuth2Check, SessionCheck
from services.fixtures.inference.infer import infer
from tests.support.openapi import THING, array, document, get, obj, post

CREDENTIALS = obj(username="string", password="string")
BEARER = {"type": "http", "scheme": "bearer"}


def ways(
    scheme: dict[str, Any], *, path: str = "/login", response: Any = None, **login: Any
) -> tuple[AuthWay, ...]:
    paths = {"/things": get(array(THING)), path: post(response, CREDENTIALS, **{"security": [], **login})}
    return infer(document(paths, components={"securitySchemes": {"s": scheme}}, security=[{"s": []}])).auth


def test_a_login_issues_what_the_scheme_wants() -> None:
    session = SessionCheck(
        login_path="/login", members=("password",), token_path=("data", "token"), prefix="Bearer "
    )
    assert ways(BEARER, response=obj(data=obj(token="string"))) == ((BearerCheck(),), (session,))


def test_a_cookie_is_set_by_the_login() -> None:
    scheme = {"type": "apiKey", "in": "cookie", "name": "SID"}
    key = ApiKeyCheck(location="cookie", name="SID", prefix="")
    session = SessionCheck(
        login_path="/login", members=("password",), cookie="SID", location="cookie", name="SID", prefix=""
    )
    assert ways(scheme, headers={"Set-Cookie": {"schema": {"type": "string"}}}) == ((key,), (session,))


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        pytest.param(BEARER, {"response": obj(id="string")}, id="no token"),
        pytest.param(BEARER, {"response": obj(token="string"), "path": "/devices"}, id="no login"),
        pytest.param(BEARER, {"response": obj(token="string"), "security": [{"s": []}]}, id="behind a door"),
        pytest.param(
            {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            {"response": obj(token="string")},
            id="another key",
        ),
    ],
)
def test_what_is_no_login_issues_nothing(scheme: dict[str, Any], options: dict[str, Any]) -> None:
    assert len(ways(scheme, **options)) == 1


@pytest.mark.parametrize(
    ("url", "grants"),
    [
        ("https://oauth2.googleapis.com/token", ("refresh_token", "jwt_bearer")),
        ("https://accounts.google.com/o/oauth2/token", ("refresh_token", "jwt_bearer")),
        ("https://googleapis.com.acme.io/token", ("refresh_token",)),
    ],
)
def test_googles_server_takes_jwts(url: str, grants: tuple[str, ...]) -> None:
    ((check,),) = ways({"type": "oauth2", "flows": {"authorizationCode": {"tokenUrl": url}}})
    assert isinstance(check, OAuth2Check)
    assert check.grants == grants
