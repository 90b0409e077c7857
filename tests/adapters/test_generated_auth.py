"""Every way to authenticate, against a server that checks it; and no secret in any output."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from contracts.blueprint import (
    ApiKeyAuth,
    AuthMethod,
    BasicAuth,
    BearerAuth,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
    Parameter,
    Request,
)
from tests.support.blueprints import PAGINATIONS, blueprint, stream
from tests.support.connector_process import Connector, Said
from tests.support.generated import connector
from tests.support.paged_api import Answer, Api, Asked, Route, collection, records, serving

SECRETS = {"api_key": "key/with+odd&chars", "api_key_2": "second-key", "username": "ann", "password": "pass:word ü",
           "access_token": "acc3ss-t0ken", "client_id": "the-client", "client_secret": "s3cret&client",
           "refresh_token": "refresh-1"}  # fmt: skip

METHODS = (
    AuthMethod(name="header", schemes=(ApiKeyAuth(location="header", name="X-Key", prefix="Token"),)),
    AuthMethod(name="query", schemes=(ApiKeyAuth(location="query", name="key"),)),
    AuthMethod(
        name="both",
        schemes=(
            ApiKeyAuth(location="cookie", name="session"),
            ApiKeyAuth(location="cookie", name="user"),
            BearerAuth(),
        ),
    ),
    AuthMethod(name="bearer", schemes=(BearerAuth(),)),
    AuthMethod(name="basic", schemes=(BasicAuth(),)),
    AuthMethod(name="user only", schemes=(BasicAuth(password_optional=True),)),
    AuthMethod(name="client", schemes=(OAuth2ClientCredentialsAuth(token_url="/oauth/token", scopes=("r", "w")),)),
    AuthMethod(name="refresh", schemes=(OAuth2RefreshTokenAuth(token_url="https://unused.example/token"),)),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    known = blueprint(
        stream("things", pagination=PAGINATIONS["next_url"]), stream("more", pagination=PAGINATIONS["page"]),
        methods=METHODS,
    )  # fmt: skip
    return connector(known, tmp_path_factory.mktemp("auth"))


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


FIXED: dict[str, tuple[list[str], Callable[[Asked], bool]]] = {
    "header": (["api_key"], lambda asked: asked.headers.get("X-Key") == f"Token {SECRETS['api_key']}"),
    "query": (["api_key"], lambda asked: asked.query.get("key") == SECRETS["api_key"]),
    "both": (
        ["api_key", "api_key_2", "access_token"],
        lambda asked: (
            asked.headers.get("Cookie") == f"session={SECRETS['api_key']}; user={SECRETS['api_key_2']}"
            and asked.headers.get("Authorization") == f"Bearer {SECRETS['access_token']}"
        ),
    ),
    "bearer": (["access_token"], lambda asked: asked.headers.get("Authorization") == "Bearer acc3ss-t0ken"),
    "basic": (
        ["username", "password"],
        lambda asked: asked.headers.get("Authorization") == basic("ann:pass:word ü"),
    ),
    "user only": (["username"], lambda asked: asked.headers.get("Authorization") == basic("ann:")),
}


def credentials(method: str, fields: list[str]) -> dict[str, str]:
    return {"auth_type": method, **{field: SECRETS[field] for field in fields}}


def assert_no_secret(said: Said, *more: str) -> None:
    hidden = [value for name, value in SECRETS.items() if name != "username"]
    for secret in (*hidden, *more, basic("ann:pass:word ü").split()[1]):
        for text in (said.stdout, said.stderr):
            assert secret not in text
            assert json.dumps(secret)[1:-1] not in text


@pytest.mark.parametrize("method", FIXED)
def test_each_fixed_credential_is_sent_with_every_page(made: Connector, method: str) -> None:
    fields, accepts = FIXED[method]

    def guard(asked: Asked) -> Answer | None:
        return None if accepts(asked) else Answer(401, {"error": "who are you?", "echo": dict(asked.headers)})

    with serving(Api(guard=guard)) as api:
        api.routes = {"/things": collection("next_url", records(6), api=api)}
        said = made.read({"credentials": credentials(method, fields), "base_url": api.url}, "things")
    assert said.code == 0, said.stdout
    assert said.records("things") == records(6)
    assert_no_secret(said)


def test_wrong_credentials_are_a_config_error_that_echoes_no_secret(made: Connector) -> None:
    def guard(asked: Asked) -> Answer:
        return Answer(401, {"error": f"bad {asked.headers.get('Authorization')} {asked.headers.get('Cookie')}"})

    fields, _ = FIXED["both"]
    with serving(Api(guard=guard)) as api:
        settings = {"credentials": credentials("both", fields), "base_url": api.url}
        said, checked = made.read(settings, "things"), made.check(settings)
    assert said.code == 1
    assert said.errors()[0]["failure_type"] == "config_error"
    assert "refuses the credentials (401)" in said.errors()[0]["message"]
    assert checked.code == 0
    assert checked.connection_status["status"] == "FAILED"
    assert "Bearer ****" in checked.connection_status["message"]
    assert_no_secret(said)
    assert_no_secret(checked)


class Issuer:
    """An OAuth token endpoint whose tokens the API accepts for ``uses`` requests each."""

    def __init__(self, *, uses: int = 99, basic_only: bool = False, rotates: bool = False) -> None:
        self.uses, self.basic_only, self.rotates = uses, basic_only, rotates
        self.forms: list[dict[str, str]] = []
        self.valid: dict[str, int] = {}

    def route(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        by_basic = asked.headers.get("Authorization") == basic("the-client:s3cret%26client")
        if self.basic_only and not by_basic:
            return Answer(401, {"error": "invalid_client"})
        if not by_basic and (form.get("client_id"), form.get("client_secret")) != ("the-client", "s3cret&client"):
            return Answer(400, {"error": "invalid_grant", "error_description": f"no {form.get('client_secret')}"})
        self.forms.append(form)
        token = f"issued-token-{len(self.forms)}"
        self.valid[f"Bearer {token}"] = self.uses
        answer: dict[str, Any] = {"access_token": token, "token_type": "bearer", "expires_in": 3600}
        if self.rotates:
            answer["refresh_token"] = f"refresh-{len(self.forms) + 1}"
        return Answer(body=answer)

    def guard(self, asked: Asked) -> Answer | None:
        if asked.path == "/oauth/token":
            return None
        sent = asked.headers.get("Authorization", "")
        if self.valid.get(sent, 0) <= 0:
            return Answer(401, {"error": "expired"})
        self.valid[sent] -= 1
        return None


def oauth_api(api: Api, issuer: Issuer) -> dict[str, Route]:
    api.guard = issuer.guard
    return {"/oauth/token": issuer.route, "/things": collection("next_url", records(11), api=api)}


@pytest.mark.parametrize("basic_only", [False, True])
def test_client_credentials_fetch_one_token_and_renew_it_after_a_401(made: Connector, basic_only: bool) -> None:
    issuer = Issuer(uses=2, basic_only=basic_only)
    with serving(Api()) as api:
        api.routes = oauth_api(api, issuer)
        login = credentials("client", ["client_id", "client_secret"])
        said = made.read({"credentials": login, "base_url": api.url}, "things")
    assert said.code == 0, said.stdout
    assert said.records("things") == records(11)
    assert len(issuer.forms) == 2
    assert issuer.forms[0]["grant_type"] == "client_credentials"
    assert issuer.forms[0]["scope"] == "r w"
    assert_no_secret(said, "issued-token")


def test_refused_client_is_a_config_error_without_its_secret(made: Connector) -> None:
    with serving(Api()) as api:
        api.routes = oauth_api(api, Issuer())
        login = {**credentials("client", ["client_secret"]), "client_id": "other"}
        said = made.read({"credentials": login, "base_url": api.url}, "things")
    assert said.code == 1
    assert said.errors()[0]["failure_type"] == "config_error"
    assert "issues no access token" in said.errors()[0]["message"]
    assert_no_secret(said)


def test_rotated_refresh_token_is_announced_and_used(made: Connector) -> None:
    issuer = Issuer(uses=2, rotates=True)
    with serving(Api()) as api:
        api.routes = oauth_api(api, issuer)
        login = credentials("refresh", ["client_id", "client_secret", "refresh_token"])
        config = {"credentials": {**login, "token_url": f"{api.url}/oauth/token"}, "base_url": api.url}
        said = made.read(config, "things")
    assert said.code == 0, said.stdout
    assert [form["refresh_token"] for form in issuer.forms] == ["refresh-1", "refresh-2"]
    announced = [control["connectorConfig"]["config"] for control in said.of("CONTROL")]
    assert [item["credentials"]["refresh_token"] for item in announced] == ["refresh-2", "refresh-3"]
    assert announced[-1]["base_url"] == api.url
    assert said.records("things") == records(11)


def test_key_in_the_query_stays_out_of_states_and_next_pages(made: Connector) -> None:
    fields, accepts = FIXED["query"]
    with serving(Api(guard=lambda asked: None if accepts(asked) else Answer(403))) as api:
        api.routes = {"/things": collection("next_url", records(11), api=api)}
        said = made.read({"credentials": credentials("query", fields), "base_url": api.url}, "things")
    assert said.code == 0, said.stdout
    assert {asked.query["key"] for asked in api.asked} == {SECRETS["api_key"]}
    pages = [state["stream"]["stream_state"].get("next") for state in said.states("things")]
    assert pages[:2] == ["/things?per_page=5&from=5", "/things?per_page=5&from=10"]
    assert_no_secret(said)


def test_parameters_of_the_config_reach_their_places(tmp_path: Path) -> None:
    parameters = (
        Parameter(name="tenant", location="server", target="tenant"),
        Parameter(name="account id", location="path", target="account", type="integer"),
        Parameter(name="lang", location="query", target="lang", enum=("en", "de"), default="en"),
        Parameter(name="beta", location="header", target="X-Beta", type="boolean", required=False),
        Parameter(name="unset", location="query", target="unset", required=False),
        Parameter(name="only_b", location="query", target="only", streams=("b",), secret=True),
    )
    known = blueprint(
        stream("a", request=Request(path="/{account}/a", headers={"X-Form": "{{x}}", "X-Lang": "{lang}"})),
        stream("b", path="/{account}/b"),
        schemes=(), base_url="http://{tenant}/v1", parameters=parameters,
    )  # fmt: skip
    with serving(Api()) as api:
        api.routes = {f"/v1/7/{name}": collection("none", records(1), api=api) for name in "ab"}
        config = {"tenant": api.url.removeprefix("http://"), "account id": 7, "beta": True, "only_b": "hush-hush"}
        said = connector(known, tmp_path).read(config, "a", "b")
    assert said.code == 0, said.stdout
    first = {asked.path: asked for asked in reversed(api.asked)}
    assert first["/v1/7/a"].query == {}, "it names lang elsewhere"
    assert first["/v1/7/b"].query == {"only": "hush-hush", "lang": "en"}
    assert {asked.headers["X-Beta"] for asked in api.asked} == {"true"}
    assert (first["/v1/7/a"].headers["X-Form"], first["/v1/7/a"].headers["X-Lang"]) == ("{{x}}", "en")
