"""What `check` says when something is wrong: which thing, and what to do. The real process and real servers."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contracts.blueprint import ApiKeyAuth, AuthMethod, BasicAuth, BearerAuth, Cursor, IncrementalFilter, Parameter
from tests.support.blueprints import blueprint, stream
from tests.support.connector_process import Connector
from tests.support.generated import connector
from tests.support.paged_api import Answer, Api, serving

SECRET = "the-s3cret-value"
METHODS = (
    AuthMethod(name="token", title="Access token", schemes=(BearerAuth(),)),
    AuthMethod(name="basic", title="User and password", schemes=(BasicAuth(),)),
)
PARAMETERS = (
    Parameter(name="account", location="query", target="account", type="integer"),
    Parameter(name="share", location="query", target="share", type="number", required=False),
    Parameter(name="archived", location="query", target="archived", type="boolean", required=False),
    Parameter(name="lang", location="query", target="lang", enum=("en", "de"), default="en"),
    Parameter(name="until", location="query", target="until", format="date", required=False),
    Parameter(name="tenant", location="header", target="X-Tenant", required=False),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    since = Cursor(field=("updated_at",), filter=IncrementalFilter(param="since", required=True))
    known = blueprint(stream("things", cursor=since), methods=METHODS, parameters=PARAMETERS)
    return connector(known, tmp_path_factory.mktemp("check"))


def good(url: str = "http://127.0.0.1:9") -> dict[str, Any]:
    return {
        "credentials": {"auth_type": "token", "access_token": SECRET},
        "account": 7,
        "start_date": "2024-01-01T00:00:00Z",
        "base_url": url,
    }


def said(made: Connector, config: Any) -> str:
    checked = made.check(config)
    assert checked.code == 0
    assert checked.connection_status["status"] == "FAILED"
    assert SECRET not in checked.stdout + checked.stderr
    message: str = checked.connection_status["message"]
    return message


# --- the configuration ------------------------------------------------------------------------------


def credentials(**fields: Any) -> dict[str, Any]:
    return {"credentials": fields}


WRONG = {
    "missing secret": (credentials(auth_type="token"), "credentials.access_token is missing"),
    "missing user": (credentials(auth_type="basic", password=SECRET), "credentials.username is missing"),
    "wrong type": (credentials(auth_type="token", access_token=[SECRET]), "credentials.access_token must be text"),
    "empty": (credentials(auth_type="token", access_token=" "), "credentials.access_token must not be empty"),
    "two lines": (credentials(auth_type="token", access_token=f"{SECRET}\nX: y"), "must be one line of printable"),
    "unknown way": (credentials(auth_type=SECRET), "credentials.auth_type must be one of: token, basic"),
    "no way": (credentials(access_token=SECRET), "credentials.auth_type must be one of: token, basic"),
    "no object": ({"credentials": SECRET}, "credentials must be an object"),
    "not a number": ({"account": f"{SECRET}"}, "account must be a whole number"),
    "half a number": ({"account": 7.5}, "account must be a whole number"),
    "no fraction": ({"share": SECRET}, "share must be a number"),
    "not yes or no": ({"archived": SECRET}, "archived must be true or false"),
    "not among them": ({"lang": SECRET}, "lang must be 'en' or 'de'"),
    "no date": ({"until": SECRET}, "until must be a date such as 2024-01-31"),
    "no time": ({"start_date": SECRET}, "start_date must be a time such as 2024-01-31T00:00:00Z"),
    "header of two lines": ({"tenant": f"a\r\n{SECRET}"}, "tenant must be one line of printable characters"),
    "no URL": ({"base_url": "api.acme.io"}, "base_url must be a URL such as https://api.example.com"),
    "no web URL": ({"base_url": "ftp://api.acme.io"}, "base_url must be a URL such as https://api.example.com"),
    "URL with a user": (
        {"base_url": f"https://ann:{SECRET}@x.io"},
        "base_url must not hold a user name or password",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_field_is_named_with_what_it_should_be(made: Connector, name: str) -> None:
    change, words = WRONG[name]
    message = said(made, {**good(), **change})
    assert message.startswith("The configuration is not usable: ")
    assert words in message
    assert ";" not in message, "nothing else is wrong"


def test_all_wrong_fields_are_told_at_once(made: Connector) -> None:
    message = said(made, {"credentials": {"auth_type": "basic"}})
    for field in ("credentials.username", "credentials.password", "account", "start_date"):
        assert f"{field} is missing" in message


def test_a_config_that_is_no_object_is_told(made: Connector) -> None:
    assert said(made, [SECRET]) == "The configuration is not usable: it must be an object."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"a": {SECRET}}}'.encode(), "is not JSON: line 1, column 7 is wrong"),
        (b"\xff\xfe\x00", "is not JSON: it is no text in UTF-8"),
        (b"[" * 200_000, "nests too deep"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_config_file_that_cannot_be_read_is_told(
    made: Connector, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "config.json"
    if content is not None:
        file.write_bytes(content)
    done = made.run("check", "--config", str(file))
    assert done.code == 0
    assert done.connection_status["status"] == "FAILED"
    assert words in done.connection_status["message"]
    assert SECRET not in done.stdout + done.stderr


def test_a_key_that_no_header_can_carry_is_told(tmp_path: Path) -> None:
    known = blueprint(stream("things"), schemes=(ApiKeyAuth(location="header", name="X-Key"),))
    with serving(Api()) as api:
        config = {"credentials": {"auth_type": "token", "api_key": "snow\u2603man"}, "base_url": api.url}
        checked = connector(known, tmp_path).check(config)
    assert "characters that HTTP cannot carry" in checked.connection_status["message"]


# --- the API ----------------------------------------------------------------------------------------

EXPIRED = 'Bearer error="invalid_token", error_description="The access token expired"'
PAGE = Answer(raw=b"<!doctype html><h1>Welcome</h1>", headers={"Content-Type": "text/html"})
REFUSALS = {
    "wrong key": (Answer(401, {"error": "no"}), "the API refuses the credentials (401). Check them"),
    "expired, says the body": (
        Answer(401, {"error": "token_expired: it has expired"}),
        "They have expired: replace",
    ),
    "expired, says the challenge": (
        Answer(401, {}, {"WWW-Authenticate": EXPIRED}),
        "the API refuses the credentials (401). They have expired: replace them",
    ),
    "no right": (Answer(403, {"error": "scope"}), "the credentials have no right to read this (403). Grant it"),
    "wrong path": (Answer(404, {"error": "no"}), "the API knows no such thing (404). Check base_url"),
    "a web page": (PAGE, "the answer is a web page, no data. Check base_url"),
    "moved": (Answer(302, headers={"Location": "https://www.acme.example/"}), "another host (www.acme.example)"),
    "moved nowhere": (Answer(301), "the API redirects elsewhere (301). Check base_url"),
    "broken": (Answer(500, {"error": "oops"}), "the API answered 500"),
    "too fast": (Answer(429, {}, {"Retry-After": "0"}), "the API's rate limit is used up: it answered 429"),
    "too fast for long": (Answer(429, {}, {"Retry-After": "7200"}), "asks to wait 7200 s"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_told_with_what_to_do(made: Connector, name: str) -> None:
    answer, words = REFUSALS[name]
    with serving(Api(routes={"/things": lambda asked: answer})) as api:
        assert words in said(made, good(api.url))


def test_an_unknown_host_is_told(made: Connector) -> None:
    """``.invalid`` never exists (RFC 6761, section 6.4)."""
    message = said(made, good("https://api.acme.invalid"))
    assert "the host api.acme.invalid is unknown; check base_url" in message


def test_a_host_that_nobody_answers_at_is_told(made: Connector) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "no connection to 127.0.0.1 could be made; check base_url" in said(
        made, good(f"http://127.0.0.1:{port}")
    )


def test_plain_http_behind_an_https_url_is_told(made: Connector) -> None:
    with serving(Api()) as api:
        message = said(made, good(api.url.replace("http://", "https://")))
    assert "it does not speak TLS; check whether base_url should begin with http://" in message


def test_a_certificate_that_nobody_vouches_for_is_told(made: Connector, tmp_path: Path) -> None:
    with tls_server(tmp_path) as url:
        message = said(made, good(url))
    assert "its certificate is not trusted: self-signed certificate" in message.replace(
        "self signed", "self-signed"
    )


@contextmanager
def tls_server(folder: Path) -> Iterator[str]:
    """HTTPS on loopback with a certificate of our own making."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def self_signed(folder: Path) -> Path:
    from datetime import timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from infra.runtime import clock

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "server.pem"
    file.write_bytes(key.private_bytes(*form) + certificate.public_bytes(pem))
    return file


# --- the form ---------------------------------------------------------------------------------------


def test_the_ways_to_authenticate_are_a_union_as_the_platforms_form_wants_it(made: Connector) -> None:
    """https://docs.airbyte.com/connector-development/connector-specification-reference: a constant tells the
    options apart, each has a title, fields have an order, secrets are marked."""
    form = made.run("spec").of("SPEC")[0]["connectionSpecification"]
    union = form["properties"]["credentials"]
    assert (union["type"], union["title"]) == ("object", "Authentication")
    assert [option["title"] for option in union["oneOf"]] == ["Access token", "User and password"]
    for option, name in zip(union["oneOf"], ("token", "basic"), strict=True):
        fields = option["properties"]
        assert fields["auth_type"] == {"type": "string", "const": name, "order": 0}
        assert "auth_type" in option["required"]
        assert [field["order"] for field in fields.values()] == list(range(len(fields)))
        assert all(
            field["type"] == "string" and field["title"] for key, field in fields.items() if key != "auth_type"
        )
    marked = {
        key
        for option in union["oneOf"]
        for key, field in option["properties"].items()
        if field.get("airbyte_secret")
    }
    assert marked == {"access_token", "password"}
    assert [field["order"] for field in form["properties"].values()] == list(range(len(form["properties"])))
    assert "$ref" not in json.dumps(form)
