"""Where the API is, how one gets in, what the config must supply, how fast it may be asked."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import (
    ApiBlueprint,
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    LoginField,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
    RateLimit,
    ServiceAccountJwtAuth,
    SessionTokenAuth,
)
from services.research.openapi.engine import infer
from tests.support.openapi import (
    THING,
    TIME,
    array,
    blueprint,
    document,
    get,
    header,
    named,
    obj,
    post,
    query,
    variable,
)

THINGS = {"/things": get(array(THING))}


def secured(schemes: dict[str, Any], *requirements: dict[str, Any], **members: Any) -> ApiBlueprint:
    security = {"security": list(requirements)} if requirements else {}
    return blueprint(THINGS, components={"securitySchemes": schemes}, **security, **members)


def ways(found: ApiBlueprint) -> list[tuple[Any, ...]]:
    return [method.schemes for method in found.auth.value]


KEY = {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
SECRET = {"type": "apiKey", "in": "query", "name": "secret"}
BASIC = {"type": "http", "scheme": "basic"}
BEARER = {"type": "http", "scheme": "Bearer"}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (KEY, ApiKeyAuth(location="header", name="X-Api-Key")),
        (SECRET, ApiKeyAuth(location="query", name="secret")),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, ApiKeyAuth(location="cookie", name="sid")),
        (BASIC, BasicAuth()),
        (
            {**BASIC, "description": "Use your key as the username and leave the password blank"},
            BasicAuth(password_optional=True),
        ),
        (BEARER, BearerAuth()),
        ({"type": "http", "scheme": "SSWS"}, ApiKeyAuth(location="header", name="Authorization", prefix="SSWS ")),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://x"}, BearerAuth()),
        (
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Authorization: Token <key>`",
            },
            ApiKeyAuth(location="header", name="Authorization", prefix="Token "),
        ),
        ({"type": "apiKey", "in": "header", "name": "Authorization", "description": "Bearer token"}, BearerAuth()),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization"},
            ApiKeyAuth(location="header", name="Authorization"),
        ),
        (
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://t.io/t", "scopes": {"a": ""}}}},
            OAuth2ClientCredentialsAuth(token_url="https://t.io/t", scopes=("a",)),
        ),
    ],
)
def test_every_scheme_is_recognised(scheme: dict[str, Any], expected: Any) -> None:
    found = secured({"s": scheme}, {"s": ["a"]})
    assert ways(found) == [(expected,)]
    assert found.auth.evidence[0].pointer == "/components/securitySchemes/s"


def test_where_a_person_authorises_a_refresh_token_or_an_access_token_will_do() -> None:
    scheme = {"type": "oauth2", "flows": {"authorizationCode": {"tokenUrl": "https://t.io/t"}}}
    found = secured({"s": scheme}, {"s": ["a"]})
    assert ways(found) == [(OAuth2RefreshTokenAuth(token_url="https://t.io/t", scopes=("a",)),), (BearerAuth(),)]


GOOGLE = {"authorizationCode": {"tokenUrl": "https://oauth2.googleapis.com/token"}}


@pytest.mark.parametrize(
    ("flows", "scope", "google"),
    [
        (GOOGLE, "read", True),
        ({"implicit": {"authorizationUrl": "https://accounts.google.com/o/oauth2/auth"}}, "read", True),
        ({"implicit": {"authorizationUrl": "https://sso.acme.io/auth"}}, "https://www.googleapis.com/auth/x", True),
        ({"implicit": {"authorizationUrl": "https://accounts.google.com.acme.io/auth"}}, "read", False),
        ({"implicit": {"authorizationUrl": "https://[bad"}}, "read", False),
    ],
)
def test_where_google_issues_tokens_a_service_account_is_a_way_in(
    flows: dict[str, Any], scope: str, google: bool
) -> None:
    found = secured({"g": {"type": "oauth2", "flows": flows}}, {"g": [scope]})
    assert ((ServiceAccountJwtAuth(scopes=(scope,)),) in ways(found)) is google


def test_the_fewest_scopes_that_read_everything_are_asked_for() -> None:
    schemes = {"g": {"type": "oauth2", "flows": GOOGLE}}
    full, readonly, items = "x/auth/cal", "x/auth/cal.readonly", "x/auth/items.readonly"
    paths = {
        "/things": get(array(THING), security=[{"g": [full]}, {"g": [readonly]}]),
        "/parts": get(array(THING), security=[{"g": [full]}, {"g": [items]}, {"g": [readonly]}]),
        "/locks": get(array(THING), security=[{"g": ["x/auth/locks"]}]),
    }
    found = blueprint(paths, components={"securitySchemes": schemes})
    assert (ServiceAccountJwtAuth(scopes=(readonly, "x/auth/locks")),) in ways(found)


def test_scopes_with_variables_that_nobody_fills_are_not_sent() -> None:
    scheme = {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://t.io/t"}}}
    found = secured({"c": scheme}, {"c": ["read:{projectKey}"]})
    assert ways(found) == [(OAuth2ClientCredentialsAuth(token_url="https://t.io/t"),)]


# --- logins ----------------------------------------------------------------------------------------

CREDENTIALS = {
    **obj(
        username="string", password="string", provider={"type": "string", "enum": ["db", "ldap"]}, refresh="boolean"
    ),
    "required": ["username", "password"],
}


def logs_in(
    scheme: dict[str, Any], response: Any, body: Any = None, path: str = "/login", **members: Any
) -> ApiBlueprint:
    paths = {**THINGS, path: post(response, body or CREDENTIALS, security=[], **members)}
    return blueprint(paths, components={"securitySchemes": {"s": scheme}}, security=[{"s": []}])


def the_login(found: ApiBlueprint) -> SessionTokenAuth | None:
    schemes = [scheme for schemes in ways(found) for scheme in schemes if isinstance(scheme, SessionTokenAuth)]
    return schemes[0] if schemes else None


def test_a_login_is_a_way_in_beside_the_token_it_gives() -> None:
    answer = obj(data=obj(access_token="string", expires_in="integer"), refresh_token="string")
    found = logs_in(BEARER, answer)
    assert ways(found)[0] == (BearerAuth(),)
    assert the_login(found) == SessionTokenAuth(
        path="/login",
        fields=(
            LoginField(name="username", field="username", secret=False),
            LoginField(name="password", field="password"),
            LoginField(
                name="provider", field="provider", secret=False, required=False, enum=("db", "ldap"), default="db"
            ),
        ),
        token_path=("data", "access_token"),
        prefix="Bearer ",
        expires_in_path=("data", "expires_in"),
    )
    assert found.auth.alternatives[0].value == found.auth.value[:1], "a repair can take the login away again"
    assert any(item.pointer == "/paths/~1login/post" for item in found.auth.evidence)


def test_the_token_of_a_login_goes_where_the_scheme_wants_it() -> None:
    header = logs_in({"type": "apiKey", "in": "header", "name": "X-Session-Token"}, obj(token="string"))
    assert (login := the_login(header))
    assert (login.location, login.name, login.prefix) == ("header", "X-Session-Token", "")
    sid = {"type": "apiKey", "in": "cookie", "name": "SID"}
    cookie = logs_in(sid, None, headers={"Set-Cookie": {"schema": {"type": "string"}}})
    assert (login := the_login(cookie))
    assert (login.cookie, login.token_path, login.location, login.name) == ("SID", (), "cookie", "SID")


@pytest.mark.parametrize(
    ("scheme", "response", "body", "path"),
    [
        pytest.param(KEY, obj(token="string"), None, "/login", id="an API key is made elsewhere"),
        pytest.param(BEARER, obj(token="string"), obj(email="string"), "/login", id="no password"),
        pytest.param(BEARER, obj(id="string"), None, "/login", id="no token"),
        pytest.param(BEARER, obj(token="string"), None, "/logins/{id}", id="not of one user"),
        pytest.param(BEARER, obj(token="string"), None, "/devices", id="not a login by its path"),
        pytest.param(
            BEARER, obj(token="string"), {**obj(password="string", device="integer"), "required": ["device"]},
            "/login", id="it wants what nobody can give",
        ),
    ],
)  # fmt: skip
def test_what_is_no_login_is_none(scheme: dict[str, Any], response: Any, body: Any, path: str) -> None:
    found = logs_in(scheme, response, body, path)
    assert the_login(found) is None
    assert len(ways(found)) == 1


def test_a_login_behind_a_door_is_none() -> None:
    paths = {**THINGS, "/login": post(obj(token="string"), CREDENTIALS)}
    found = blueprint(paths, components={"securitySchemes": {"s": BEARER}}, security=[{"s": []}])
    assert the_login(found) is None


def test_or_makes_methods_and_and_makes_schemes() -> None:
    schemes = {"k": KEY, "s": SECRET, "b": BASIC}
    found = secured(schemes, {"k": [], "s": []}, {"b": []})
    assert ways(found) == [
        (
            ApiKeyAuth(location="header", name="X-Api-Key", field="api_key"),
            ApiKeyAuth(location="query", name="secret", field="secret"),
        ),
        (BasicAuth(),),
    ]
    assert len({method.name for method in found.auth.value}) == 2


def test_schemes_that_share_a_header_are_alternatives_whatever_the_document_says() -> None:
    found = secured({"b": BASIC, "t": BEARER}, {"b": [], "t": []})
    assert sorted(len(schemes) for schemes in ways(found)) == [1, 1]


def test_without_a_requirement_each_declared_scheme_is_a_way_in() -> None:
    assert len(ways(secured({"b": BASIC, "k": KEY}))) == 2


def test_an_implicit_flow_without_token_url_asks_for_a_token_and_names_the_gap() -> None:
    found = secured({"o": {"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "https://a"}}}}, {"o": []})
    assert ways(found) == [(BearerAuth(),)]
    assert any(gap.subject == "auth" and "token URL" in gap.reason for gap in found.gaps)


def test_an_unsupported_scheme_alone_is_a_gap() -> None:
    found = secured({"d": {"type": "http", "scheme": "digest"}}, {"d": []})
    assert any("not supported" in gap.reason for gap in found.gaps)


def test_required_header_parameters_stand_in_for_missing_schemes() -> None:
    paths = {
        "/things": get(array(THING), header("X-Acme-Server-Token", "The API token", required=True)),
        "/parts": get(array(THING), header("X-Acme-Server-Token", "The API token", required=True)),
    }
    found = blueprint(paths)
    assert ways(found) == [(ApiKeyAuth(location="header", name="X-Acme-Server-Token"),)]
    assert found.parameters == ()
    assert not any(gap.subject == "auth" for gap in found.gaps)


def test_an_authorization_parameter_is_read_by_its_sample() -> None:
    bearer = get(array(THING), header("Authorization", required=True, default="Bearer {{TOKEN}}"))
    assert ways(blueprint({"/things": bearer})) == [(BearerAuth(),)]
    token = get(array(THING), header("Authorization", "Token abc", required=True))
    assert ways(blueprint({"/things": token})) == [
        (ApiKeyAuth(location="header", name="Authorization", prefix="Token "),)
    ]


def test_no_authentication_is_a_decision_with_a_gap() -> None:
    found = blueprint(THINGS)
    assert found.auth.value == ()
    assert any(gap.subject == "auth" for gap in found.gaps)


def test_an_idempotency_key_is_no_secret() -> None:
    found = blueprint({"/things": get(array(THING), header("Idempotency-Key", required=True, default="x"))})
    assert found.auth.value == ()


# --- base URL --------------------------------------------------------------------------------------


def where(servers: list[dict[str, Any]], document_url: str | None = None) -> ApiBlueprint:
    return infer(document(THINGS, servers=servers), name="acme", document_url=document_url)


def test_production_beats_sandbox_and_the_rest_are_alternatives() -> None:
    found = where(
        [
            {"url": "https://sandbox.acme.io/v1/", "description": "Sandbox"},
            {"url": "https://api.acme.io/v1/", "description": "Production"},
        ]
    ).base_url
    assert found.value is not None
    assert found.value.template == "https://api.acme.io/v1"
    assert [option.value.template for option in found.alternatives if option.value] == [
        "https://sandbox.acme.io/v1"
    ]


def test_server_variables_become_parameters() -> None:
    server = {
        "url": "https://{region}.acme.io/{basePath}",
        "variables": {"region": {"enum": ["eu", "us"], "default": "eu"}, "basePath": {"description": "Base"}},
    }
    region, base = where([server]).parameters
    assert (region.location, region.target, region.default, region.enum) == ("server", "region", "eu", ("eu", "us"))
    assert region.required is False
    assert (base.name, base.target, base.required) == ("base_path", "basePath", True)


def test_a_placeholder_host_becomes_a_parameter() -> None:
    found = where([{"url": "https://your-domain.acme.net"}])
    assert found.base_url.value is not None
    assert found.base_url.value.template == "https://{domain}.acme.net"
    assert [parameter.name for parameter in found.parameters] == ["domain"]


def test_relative_servers_need_the_documents_url() -> None:
    found = where([{"url": "/api/v3"}], "https://docs.acme.io/openapi.json")
    assert found.base_url.value is not None
    assert found.base_url.value.template == "https://docs.acme.io/api/v3"
    alone = where([{"url": "/api/v3"}])
    assert alone.base_url.value is None
    assert any(gap.subject == "base_url" for gap in alone.gaps)


def test_an_example_host_is_a_gap() -> None:
    assert any(gap.subject == "base_url" for gap in where([{"url": "https://api.example.com"}]).gaps)


# --- parameters ------------------------------------------------------------------------------------


def test_required_values_that_the_document_gives_are_sent_as_they_are() -> None:
    item = get(
        array(THING),
        header("Acme-Version", required=True, enum=["2021-01-01", "2022-06-28"]),
        header("X-Revision", required=True, default="2024-02-15"),
        query("format", required=True, enum=["json"]),
        query("color", enum=["red"]),
    )
    request = blueprint({"/things": item}).streams[0].request.value
    assert request.headers == {"Acme-Version": "2022-06-28", "X-Revision": "2024-02-15"}
    assert request.query == {"format": "json"}


def test_placeholders_are_no_values() -> None:
    item = get(array(THING), header("Acme-Version", required=True, default="{{ACME_VERSION}}"))
    found = blueprint({"/things": item})
    assert found.streams[0].request.value.headers == {}
    assert [parameter.target for parameter in found.parameters] == ["Acme-Version"]


def test_required_headers_without_a_value_are_asked_for() -> None:
    item = get(array(THING), header("Acme-Account-Id", "Your account", required=True))
    (parameter,) = blueprint({"/things": item}).parameters
    assert (parameter.name, parameter.location, parameter.target) == (
        "acme_account_id",
        "header",
        "Acme-Account-Id",
    )
    assert parameter.required
    assert parameter.streams == ()


def test_a_required_window_is_asked_for_under_a_name_that_is_free() -> None:
    paths = {
        "/reports": get(
            array(THING),
            query("start_date", required=True, format="date-time"),
            query("end_date", required=True, format="date-time"),
        ),
        "/things": get(array(THING)),
    }
    found = blueprint(paths).parameters
    assert [(parameter.name, parameter.target) for parameter in found] == [
        ("reports_start_date", "start_date"),
        ("end_date", "end_date"),
    ]
    assert all(parameter.streams == ("reports",) and parameter.format == "date-time" for parameter in found)
    assert [(parameter.required, parameter.until_now) for parameter in found] == [(True, False), (False, True)]


ISO_PATTERN = "^[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}[T,t][0-9]{2}:[0-9]{2}:[0-9]{2}Z$"


@pytest.mark.parametrize(
    ("schema", "description", "form"),
    [
        ({"pattern": ISO_PATTERN}, "", "date-time"),
        ({"pattern": r"^\d{4}-\d{2}-\d{2}$"}, "", "date"),
        ({"pattern": "^[A-Z]+$"}, "A date and time", None),
        ({"example": "2021-03-04T05:06:07Z"}, "", "date-time"),
        ({"example": "2021-03-04"}, "", "date"),
        ({}, "in RFC 3339", "date-time"),
        ({}, "as YYYY-MM-DD", "date"),
        ({}, "as YYYYMMDD", None),
        ({}, "as a unix timestamp", None),
        ({}, "", "date"),
        ({"enum": ["today", "yesterday"]}, "", None),
    ],
)
def test_the_spelling_of_a_time_is_found_where_no_format_says_it(
    schema: dict[str, Any], description: str, form: str | None
) -> None:
    wanted = query("on_date", "string", description, required=True, **schema)
    found = {
        parameter.name: parameter.format
        for parameter in blueprint({"/reports": get(array(THING), wanted)}).parameters
    }
    assert found.get("on_date") == form


def test_a_required_filter_makes_the_start_date_required() -> None:
    record = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "updated_at": {"type": "string", "format": "date-time"}},
    }
    found = blueprint({"/reports": get(array(record), query("updated_since", required=True, format="date-time"))})
    cursor = found.streams[0].cursor.value
    assert cursor is not None
    assert cursor.filter.required
    assert found.parameters == ()


def test_odd_requirements_omit_the_stream_and_say_so() -> None:
    paths = {f"/things{number}": get(array(THING)) for number in range(5)}
    found = blueprint({**paths, "/lookups": get(array(THING), query("phrase", required=True))})
    assert found.parameters == ()
    (gap,) = found.omitted
    assert gap.reason.startswith("no list in the document supplies phrase; it searches for what somebody types")


# --- rate limit ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("You can make 100 requests per 15 seconds.", RateLimit(requests=100, per_s=15)),
        ("Up to 1,000 API calls per minute are allowed", RateLimit(requests=1000, per_s=60)),
        ("Requests are limited to 60 per second; beyond that", RateLimit(requests=60, per_s=1)),
        ("5 requests/second, 2000 requests per day", RateLimit(requests=2000, per_s=86400)),
        ("Nothing is said about 5 apples per day", None),
    ],
)
def test_rate_limits_are_read_from_the_text(text: str, limit: RateLimit | None) -> None:
    found = blueprint(THINGS, info={"title": "Acme", "version": "1", "description": text})
    assert found.rate_limit.value == limit


def test_a_value_by_query_is_typed() -> None:
    item = get(array(obj(id="string", made=TIME)), query("shop", "integer", required=True))
    (parameter,) = blueprint({"/things": item}).parameters
    assert (parameter.type, parameter.location) == ("integer", "query")


def test_a_constant_of_the_account_is_a_path_parameter() -> None:
    paths = {
        f"/{{projectKey}}/{name}": get(array(THING), variable("projectKey"))
        for name in ("carts", "orders", "zones")
    }
    found = blueprint(paths)
    (parameter,) = found.parameters
    assert (parameter.name, parameter.location, parameter.target) == ("project_key", "path", "projectKey")
    assert named(found, "carts").request.value.path == "/{projectKey}/carts"
    assert named(found, "carts").parent.value is None


def test_a_constant_of_the_account_has_the_type_and_the_values_that_all_paths_declare() -> None:
    region = {
        **variable("region"),
        "description": "Where the  data is",
        "schema": {"type": "string", "enum": ["eu", "us"]},
    }
    tenant = {**variable("tenant"), "schema": {"type": "integer"}}
    found = blueprint(
        {f"/{{region}}/{{tenant}}/{name}": get(array(THING), region, tenant) for name in ("carts", "orders")}
    )
    told = {
        parameter.name: (parameter.type, parameter.enum, parameter.description) for parameter in found.parameters
    }
    assert told["region"] == ("string", ("eu", "us"), "Where the data is")
    assert told["tenant"] == ("integer", (), "The tenant in the API's requests")


def test_values_that_paths_do_not_agree_on_are_left_open() -> None:
    def of(*values: str) -> dict[str, Any]:
        return {**variable("target"), "schema": {"type": "string", "enum": list(values)}}

    paths = {"/{target}/carts": get(array(THING), of("a", "b")), "/{target}/orders": get(array(THING), of("a"))}
    (parameter,) = blueprint(paths).parameters
    assert parameter.enum == ()
