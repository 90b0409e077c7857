"""Tokens that an API issues, end to end: what research makes of a document, against what fixtures make of it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest

from contracts.blueprint import AuthMethod, LoginField, ServiceAccountJwtAuth, SessionTokenAuth
from contracts.reports import Outcome
from infra.runtime.documents import Document
from infra.runtime.simulator import Plan, Simulator
from infra.runtime.toolchain import prepare
from infra.runtime.trees import write_tree
from services.fixtures.inference.infer import infer as simulate
from services.generator.compiler import compile_connector
from services.research.openapi.engine import infer as research
from services.tester.conformance import Knowledge
from services.tester.conformance.configuration import Config, Form, private_key
from services.tester.conformance.leaks import leaked_forms
from services.tester.package_tests import Material, run_tests, write_tests
from tests.support.blueprints import PAGINATIONS, blueprint, stream
from tests.support.connector_process import Connector, Said
from tests.support.generated import connector
from tests.support.openapi import THING, array, document, get, obj, post, query
from tests.support.paged_api import Answer, Api, Asked, collection, records, serving

SCOPE = "https://www.googleapis.com/auth/things.readonly"
GOOGLE = {
    "type": "oauth2",
    "flows": {
        "authorizationCode": {
            "authorizationUrl": "https://accounts.google.com/o/oauth2/auth",
            "tokenUrl": "https://oauth2.googleapis.com/token",
            "scopes": {SCOPE: "Read things"},
        }
    },
}
PAGED = get(array(THING), query("page", "integer", default=1), query("per_page", "integer", default=2, maximum=2))
LOGIN = {**obj(email="string", password="string"), "required": ["email", "password"]}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "SID"}

Way = tuple[Document, str]


def api_of(scheme: dict[str, Any], answer: Any = None, scopes: tuple[str, ...] = (), **login: Any) -> Document:
    """``answer``: what the login answers; none, no login."""
    paths = {"/things": PAGED}
    if answer is not None or login:
        paths["/session"] = post(answer, LOGIN, security=[], **login)
    return document(paths, components={"securitySchemes": {"s": scheme}}, security=[{"s": list(scopes)}])


WAYS: dict[str, Way] = {
    "service account": (api_of(GOOGLE, scopes=(SCOPE,)), "service_account"),
    "login for a bearer token": (
        api_of({"type": "http", "scheme": "bearer"}, obj(data=obj(token="string", expires_in="integer"))),
        "login",
    ),
    "login for a header": (
        api_of({"type": "apiKey", "in": "header", "name": "X-Auth-Token"}, obj(token="string")),
        "login",
    ),
    "login for a query parameter": (
        api_of({"type": "apiKey", "in": "query", "name": "session_id"}, obj(session_id="string")),
        "login",
    ),
    "login for a cookie": (api_of(COOKIE, headers={"Set-Cookie": {"schema": {"type": "string"}}}), "login"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Connector]:
    return {
        name: connector(research(found, name="acme", document_url=None), tmp_path_factory.mktemp("tokens"))
        for name, (found, _) in WAYS.items()
    }


def filled(made: Connector, way: str, base_url: str, token_url: str | None) -> Config:
    """The config as the conformance kit fills it in."""
    form = Form(made.run("spec").of("SPEC")[0]["connectionSpecification"])
    options = form.schema["properties"]["credentials"]["oneOf"]
    number = next(n for n, option in enumerate(options) if option["properties"]["auth_type"]["const"] == way)
    return form.fill(base_url, token_url, number)


def assert_tells_nothing(said: Said, config: Config) -> None:
    for form in leaked_forms(config):
        assert form.decode() not in said.stdout + said.stderr


@pytest.mark.parametrize("name", WAYS)
async def test_a_token_is_fetched_used_and_renewed(made: dict[str, Connector], name: str) -> None:
    """``token_uses``: after three requests the server answers 401, and only a new token helps."""
    found, way = WAYS[name]
    async with Simulator(simulate(found), port=0) as simulator:
        config = filled(made[name], way, simulator.base_url, simulator.token_url_at(simulator.port))
        simulator.reset(Plan(records=9, secrets=config.accepted, token_uses=3))
        said = await asyncio.to_thread(made[name].read, config.values, "things")
    assert said.code == 0, said.stdout
    assert said.records("things") == list(simulator.expected("GET /things"))
    asked = [seen.endpoint for seen in simulator.requests]
    assert asked.count("token") >= 2
    assert [seen.status for seen in simulator.requests].count(401) <= asked.count("token")
    assert_tells_nothing(said, config)


@pytest.mark.parametrize("name", WAYS)
async def test_wrong_credentials_are_said_by_check_and_fail_the_read(made: dict[str, Connector], name: str) -> None:
    found, way = WAYS[name]
    async with Simulator(simulate(found), port=0) as simulator:
        config = filled(made[name], way, simulator.base_url, simulator.token_url_at(simulator.port))
        simulator.reset(Plan(secrets=frozenset({"another"})))
        checked = await asyncio.to_thread(made[name].check, config.values)
        said = await asyncio.to_thread(made[name].read, config.values, "things")
    assert checked.connection_status["status"] == "FAILED"
    message = checked.connection_status["message"]
    assert ("account not found" if way == "service_account" else "refuses the login (401)") in message
    assert said.code == 1
    assert said.errors()[0]["failure_type"] == "config_error"
    for output in (checked, said):
        assert_tells_nothing(output, config)


# --- service accounts, against a server that looks into the JWT ------------------------------------


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    methods = (AuthMethod(name="service_account", schemes=(ServiceAccountJwtAuth(scopes=(SCOPE, "other")),)),)
    return connector(
        blueprint(stream("things", pagination=PAGINATIONS["page"]), methods=methods),
        tmp_path_factory.mktemp("google"),
    )


def account(token_uri: str, **more: Any) -> str:
    told = {
        "type": "service_account",
        "client_email": "reader@acme.iam.gserviceaccount.com",
        "private_key_id": "k1",
    }
    return json.dumps({**told, "private_key": private_key(), "token_uri": token_uri, **more})


def settings(api: Api, info: str, **more: Any) -> dict[str, Any]:
    credentials = {"auth_type": "service_account", "service_account_info": info, **more}
    return {"credentials": credentials, "base_url": api.url}


def public_key() -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(private_key().encode(), None).public_key()


def test_the_jwt_says_who_for_whom_what_and_until_when(google: Connector) -> None:
    seen: list[dict[str, Any]] = []

    def token(asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = jwt.decode(form["assertion"], public_key(), algorithms=["RS256"], audience=f"{api.url}/token")
        seen.append({**claims, "kid": jwt.get_unverified_header(form["assertion"])["kid"]})
        return Answer(body={"access_token": "issued-to-the-account", "expires_in": 3600})

    with serving(Api()) as api:
        api.routes = {"/token": token, "/things": collection("page", records(3), api=api)}
        api.guard = lambda asked: (
            None
            if asked.path == "/token" or asked.headers.get("Authorization") == "Bearer issued-to-the-account"
            else Answer(401)
        )
        said = google.read(settings(api, account(f"{api.url}/token"), subject="ann@acme.example"), "things")
    assert said.code == 0, said.stdout
    (claims,) = seen
    assert claims["iss"] == "reader@acme.iam.gserviceaccount.com"
    assert (claims["sub"], claims["scope"], claims["kid"]) == ("ann@acme.example", f"{SCOPE} other", "k1")
    assert claims["exp"] - claims["iat"] == 3600


def test_a_clock_that_is_off_is_named_as_the_likely_reason(google: Connector) -> None:
    refusal = {"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived token"}
    with serving(Api(clock_ahead_s=-7200)) as api:
        api.routes = {"/token": lambda asked: Answer(400, refusal)}
        checked = google.check(settings(api, account(f"{api.url}/token")))
    message = checked.connection_status["message"]
    assert "short-lived token" in message
    assert re.search(r"This machine's clock is 7(199|20[01]) s ahead of the API's", message)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ("not json: s3cr3t-key", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('["s3cr3t-key"]', "something else"),
        ('{"type": "authorized_user", "client_secret": "s3cr3t-key"}', "something else"),
        ('{"type": "service_account", "private_key": "s3cr3t-key"}', "it has no client_email"),
        ('{"client_email": "a@b", "private_key": "s3cr3t-key", "token_uri": "nowhere"}', "must be a URL"),
        (
            '{"client_email": "a@b", "private_key": "s3cr3t-key", "token_uri": "http://127.0.0.1:9/t"}',
            "private_key in the service account's JSON is not an RSA key",
        ),
    ],
)
def test_an_unusable_key_file_is_said_in_words_and_never_shown(google: Connector, info: str, words: str) -> None:
    checked = google.check({"credentials": {"auth_type": "service_account", "service_account_info": info}})
    assert checked.connection_status["status"] == "FAILED"
    assert words in checked.connection_status["message"]
    assert "s3cr3t-key" not in checked.stdout + checked.stderr


# --- logins, against a server written by hand ------------------------------------------------------


def login_of(**options: Any) -> SessionTokenAuth:
    fields = (LoginField(name="user", field="username", secret=False), LoginField(name="pass", field="password"))
    return SessionTokenAuth.model_validate(
        {"path": "/login", "fields": fields, "token_path": ("token",), "prefix": "Bearer ", **options}
    )


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    schemes = {
        "form": login_of(encoding="form", constants={"remember": True}),
        "lived": login_of(lifetime_s=1),
        "told": login_of(expires_in_path=("expires_in",)),
    }
    methods = tuple(AuthMethod(name=name, schemes=(scheme,)) for name, scheme in schemes.items())
    return connector(
        blueprint(stream("things", pagination=PAGINATIONS["page"]), methods=methods),
        tmp_path_factory.mktemp("visitor"),
    )


def visiting(api: Api, way: str) -> dict[str, Any]:
    credentials = {"auth_type": way, "username": "ann", "password": "pass&word of ann"}
    return {"credentials": credentials, "base_url": api.url}


def test_a_login_may_want_a_form(visitor: Connector) -> None:
    with serving(Api()) as api:
        api.routes = {
            "/login": lambda asked: Answer(body={"token": "session-1"}),
            "/things": collection("page", records(3), api=api),
        }
        said = visitor.read(visiting(api, "form"), "things")
    assert said.code == 0, said.stdout
    login = next(asked for asked in api.asked if asked.path == "/login")
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert login.body == b"remember=true&user=ann&pass=pass%26word+of+ann"


@pytest.mark.parametrize("way", ["lived", "told"])
def test_a_short_life_ends_a_token_without_a_refusal(visitor: Connector, way: str) -> None:
    def slowly(asked: Asked) -> Answer:
        time.sleep(0.3)
        return page(asked)

    with serving(Api()) as api:
        page = collection("page", records(18), api=api)
        logins = iter(range(1, 99))
        api.routes = {
            "/login": lambda asked: Answer(body={"token": f"session-{next(logins)}", "expires_in": 1}),
            "/things": slowly,
        }
        said = visitor.read(visiting(api, way), "things")
    assert said.code == 0, said.stdout
    assert said.records("things") == records(18)
    assert api.count("/login") > 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(403, {"error": "locked"}), "refuses the login (403)"),
        (Answer(404), "no login where the API should have it (404). Check base_url"),
        (Answer(200, {"message": "welcome"}), "The login gives no token"),
    ],
)
def test_a_login_that_fails_says_why(visitor: Connector, answer: Answer, words: str) -> None:
    with serving(Api(routes={"/login": lambda asked: answer})) as api:
        checked = visitor.check(visiting(api, "told"))
    assert checked.connection_status["status"] == "FAILED"
    assert words in checked.connection_status["message"]
    assert "pass&word" not in checked.stdout


# --- the package's own tests ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["service account", "login for a bearer token", "login for a cookie"])
async def test_the_packages_tests_play_the_server_that_issues_tokens(name: str, tmp_path: Path) -> None:
    found, way = WAYS[name]
    known, api = research(found, name="acme", document_url=None), simulate(found)
    code = compile_connector(known, {}, frozenset())
    spec = json.loads(code["src/source_acme/spec.json"])["connectionSpecification"]
    streams = Knowledge(endpoints={"things": "GET /things"}, streams=("things",))
    tests = write_tests(Material("source_acme", spec, api, streams))
    assert b"PRIVATE KEY" not in b"".join(tests.values())
    write_tree(tmp_path, {**code, **tests})
    cases = await run_tests(tmp_path, prepare().python)
    assert [(case.id, case.message) for case in cases if case.outcome is Outcome.FAILED] == []
    tried = {case.id for case in cases if "credentials" in case.id}
    title = {"service_account": "service-account", "login": "login"}[way]
    for test in ("test_check_succeeds_with_right_credentials", "test_check_fails_with_wrong_credentials"):
        assert f"tests/test_connection.py::{test}[{title}]" in tried
