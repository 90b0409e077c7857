"""Every form of a connector is code that one would have written by hand: typed, formatted, nothing unused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.artifacts import Tree
from contracts.blueprint import (
    ApiBlueprint,
    ApiKeyAuth,
    AuthMethod,
    BasicAuth,
    BearerAuth,
    Cursor,
    CursorPagination,
    IncrementalFilter,
    LoginField,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
    OffsetPagination,
    Parameter,
    RateLimit,
    Request,
    Selector,
    ServiceAccountJwtAuth,
    SessionTokenAuth,
)
from services.generator.compiler import compile_connector
from tests.support.blueprints import (
    PAGINATIONS,
    blueprint,
    child,
    of_plain_values,
    opened_by_fields,
    small_crm,
    stream,
)

TOKEN_URL = "https://auth.example.com/{region}/token"
RULES = "A,ASYNC,B,C4,C90,E4,E7,E9,F,I,N,PERF,PIE,PLR0915,PT,RET,RUF,S,SIM,T10,UP,W"

LOGIN_FIELDS = (
    LoginField(name="user", field="username", secret=False),
    LoginField(name="password", field="password"),
    LoginField(name="realm", field="realm", secret=False, required=False, enum=("db", "ldap"), default="db"),
)
LOGINS = {
    "bearer": SessionTokenAuth(path="/login", fields=LOGIN_FIELDS, token_path=("data", "token"), prefix="Bearer "),
    "query": SessionTokenAuth(
        path="/login", fields=LOGIN_FIELDS, token_path=("token",), location="query", name="sid", lifetime_s=600
    ),
    "cookie": SessionTokenAuth(path="login", fields=LOGIN_FIELDS, cookie="sid", location="cookie", name="sid"),
    "form": SessionTokenAuth(
        path="/login", encoding="form", fields=LOGIN_FIELDS, constants={"remember": True}, token_path=("token",),
        name="X-Session", expires_in_path=("expires_in",),
    ),
}  # fmt: skip


def every_auth() -> ApiBlueprint:
    """All credentials, all places of a parameter, requests with bodies and headers."""
    methods = (
        AuthMethod(name="key", schemes=(ApiKeyAuth(location="header", name="X-Key", prefix="Token"),)),
        AuthMethod(
            name="two keys",
            schemes=(ApiKeyAuth(location="query", name="key"), ApiKeyAuth(location="cookie", name="session")),
        ),
        AuthMethod(name="bearer", schemes=(BearerAuth(),)),
        AuthMethod(name="basic", schemes=(BasicAuth(),)),
        AuthMethod(name="key as user", schemes=(BasicAuth(password_optional=True),)),
        AuthMethod(name="client", schemes=(OAuth2ClientCredentialsAuth(token_url=TOKEN_URL, scopes=("a", "b")),)),
        AuthMethod(name="refresh", schemes=(OAuth2RefreshTokenAuth(token_url="/oauth/token"),)),
        AuthMethod(name="unknown", schemes=(OAuth2RefreshTokenAuth(token_url=""), BearerAuth())),
    )
    parameters = (
        Parameter(name="region", location="server", target="region", enum=("eu", "us"), default="eu"),
        Parameter(name="account-id", location="path", target="account", type="integer"),
        Parameter(name="locale", location="query", target="lang", required=False),
        Parameter(name="version", location="header", target="X-Version", default="2024-01-01"),
        Parameter(name="token", location="query", target="share", streams=("by_post",)),
        Parameter(name="model_class", location="query", target="model", type="boolean", required=False),
        Parameter(name="class", location="header", target="X-Class", type="number", streams=("by_post",)),
        Parameter(name="from", location="query", target="from", format="date"),
        Parameter(name="to", location="query", target="to", format="date-time", required=False, until_now=True),
    )
    in_body = Cursor(
        field=("updated",),
        field_format="epoch_ms",
        format="date",
        filter=IncrementalFilter(param="filter.since", location="body", template="{value}", inclusive=False),
    )
    in_header = Cursor(
        field=("updated_at",), filter=IncrementalFilter(param="If-Modified-Since", location="header", required=True)
    )
    return blueprint(
        stream(
            "by_post",
            request=Request(
                method="POST", path="/search", headers={"X-Mode": "full"}, body={"query": {"all": True}}
            ),
            pagination=OffsetPagination(param="paging.offset", location="body"),
            cursor=in_body,
        ),
        stream("accounts", path="/accounts/{account}/users", cursor=in_header, selector=Selector(shape="map")),
        stream("me", selector=Selector(shape="single"), pagination=PAGINATIONS["none"], primary_key=None),
        child("posts", "accounts", "/posts", "user", request=Request(path="/posts", query={"user": "{user}"})),
        name="every-auth",
        base_url="https://{region}.example.com/v1/",
        methods=methods,
        parameters=parameters,
        rate_limit=RateLimit(requests=10, per_s=1.5),
    )


def every_issued_token() -> ApiBlueprint:
    """All exchanges for tokens, in one connector."""
    methods = (
        AuthMethod(name="google", schemes=(ServiceAccountJwtAuth(scopes=("https://scopes.example/read",)),)),
        AuthMethod(name="client", schemes=(OAuth2ClientCredentialsAuth(token_url="https://a.example/token"),)),
        *(AuthMethod(name=f"login {name}", schemes=(scheme,)) for name, scheme in LOGINS.items()),
    )
    return blueprint(stream("things"), name="every-token", methods=methods)


def forms() -> list[ApiBlueprint]:
    """One API per part that may be missing, so that each is rendered with and without."""
    single = [
        blueprint(stream("things", pagination=rule), name=f"form-{kind.replace('_', '-')}")
        for kind, rule in PAGINATIONS.items()
    ]
    token = CursorPagination(param="after", path=("next",), location="body")
    kinds = {
        "key": ApiKeyAuth(location="query", name="key"),
        "basic": BasicAuth(),
        "client": OAuth2ClientCredentialsAuth(token_url="https://a.example/token"),
        "refresh": OAuth2RefreshTokenAuth(token_url="https://a.example/token"),
        "google": ServiceAccountJwtAuth(scopes=("https://scopes.example/read",)),
        **{f"login-{name}": scheme for name, scheme in LOGINS.items()},
    }
    auths = [blueprint(stream("things"), name=f"auth-{name}", schemes=(kind,)) for name, kind in kinds.items()]
    return [
        *single,
        *auths,
        small_crm(),
        every_auth(),
        blueprint(stream("things"), name="open", schemes=(), base_url=None),
        blueprint(stream("labels", selector=Selector(field="label")), name="plain", schemes=()),
        blueprint(stream("a", pagination=token), child("b", "a", "/a/{a}/b", "a"), name="body", schemes=()),
        blueprint(stream("a", pagination=PAGINATIONS["page"], path="/{tenant}/a"), name="path", schemes=(),
                  parameters=(Parameter(name="tenant", location="path", target="tenant"),)),
    ]  # fmt: skip


def lay_out(tree: Tree, folder: Path) -> None:
    for path, content in tree.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=dict(os.environ))
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(
            [small_crm(), every_auth(), every_issued_token(), opened_by_fields(), of_plain_values()],
            id="all parts",
        ),
        pytest.param(forms(), id="each part alone", marks=pytest.mark.slow),
    ],
)
def test_rendered_connectors_pass_ruff_and_mypy_strict(known: list[ApiBlueprint], tmp_path: Path) -> None:
    for one in known:
        lay_out(compile_connector(one, {}, frozenset()), tmp_path / one.name)
    options = ("--isolated", "--no-cache", "--target-version", "py311", "--line-length", "110")
    assert run(sys.executable, "-m", "ruff", "check", *options, "--select", RULES, ".", cwd=tmp_path) == ""
    assert run(sys.executable, "-m", "ruff", "format", *options, "--check", ".", cwd=tmp_path) == ""
    sources = sorted(str(path) for path in tmp_path.glob("*/src"))
    mypy = ("--strict", "--python-version", "3.11", "--config-file=", "--cache-dir", str(tmp_path / "types"))
    assert run(sys.executable, "-m", "mypy", *mypy, *sources, cwd=tmp_path) == ""


def test_only_the_parts_that_an_api_needs_are_rendered() -> None:
    tree = compile_connector(blueprint(stream("things"), name="things"), {}, frozenset())
    code = b"\n".join(content for path, content in tree.items() if path.endswith(".py")).decode()
    for absent in (
        "class Offset",
        "class Cursor",
        "OAuth2",
        "Login",
        "jwt",
        "REQUESTS, PER_S",
        "def in_parallel",
        "Incremental",
        "class Parent",
        "start_date",
        "def unset",
        "needs:",
        "_PLAIN",
        "member: str",
        "lone: bool",
    ):
        assert absent not in code
    assert "class OnePage" in code
