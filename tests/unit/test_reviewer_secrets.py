from __future__ import annotations

import base64
import hashlib
import random
import time

import pytest

from contracts.reports import Finding, Severity
from services.reviewer.secret_scan import looks_random, secret_findings


def scan(text: str, *, public_text: str = "") -> list[Finding]:
    return list(secret_findings("src/a.py", text.encode(), public_text=public_text))


def random_text(length: int, seed: int) -> str:
    return (
        base64.b64encode(random.Random(seed).randbytes(length))
        .decode()[:length]
        .replace("/", "a")
        .replace("+", "b")
    )


KNOWN = (
    "AKIA" + "QZ7ZJ2XWY4N5K3LM",
    "ghp_" + random_text(36, 1),
    "sk_live_" + random_text(24, 2),
    "xoxb-" + "203945767890-" + random_text(24, 3),
    "AIza" + random_text(35, 4),
    "sk-ant-" + "api03-" + random_text(40, 5),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + random_text(30, 6),
    "https://admin:hunter2hunter2@db.internal/x",
)

HARMLESS = (
    "6f1ed002-ab56-4c3e-9d0b-6a1f2f6f7a10",
    hashlib.sha256(b"tree").hexdigest(),
    "2020-01-01T00:00:00.000000+00:00",
    "application/vnd.example.contacts.v2+json",
    "https://api.example.com/v1/contacts/123456789/notes",
    "source_sample_crm_connector_version2",
    "SchemaOfContactsWithNestedAddress2",
    "oauth2_client_credentials_flow_v2",
    "test-token-a8F3kQ9zLm2Xc7Vb1Nw4",
    "/rest/api/3/fieldconfigurationscheme/mapping",
    "tax_reporting_us_1099_misc",
    "your_api_key_goes_here_1234567890",
    "abcdefghijklmnopqrstuvwxyz0123456789"[:20],
    "0000000000000000000000000000",
    "https://{user}:{password}@api.example.com",
)


@pytest.mark.parametrize("secret", KNOWN)
def test_a_token_of_a_known_form_is_critical_and_not_repeated(secret: str) -> None:
    [found] = scan(f'KEY = "{secret}"')
    assert found.severity is Severity.CRITICAL
    assert secret not in found.message


def test_a_private_key_is_critical() -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEAx" * 4
    assert [finding.severity for finding in scan(text)] == [Severity.CRITICAL]


ALPHABETS = {
    "mixed": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "lower": "abcdefghjkmnpqrstuvwxyz23456789",
}


@pytest.mark.parametrize(
    ("line", "alphabet", "length"),
    [
        ('VALUE = "{}"', "mixed", 32),
        ("client_secret = '{}'", "mixed", 24),
        ("client_secret = '{}'", "lower", 24),
        ('{{"api_key": "{}"}}', "lower", 32),
    ],
)
def test_nearly_every_random_string_is_found(line: str, alphabet: str, length: int) -> None:
    chance = random.Random(7)
    values = ["".join(chance.choices(ALPHABETS[alphabet], k=length)) for _ in range(500)]
    assert sum(bool(scan(line.format(value))) for value in values) >= 0.96 * len(values)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_and_hash_functions_write_is_no_secret(text: str) -> None:
    assert scan(f'VALUE = "{text}"') == []
    assert scan(f"api_key: '{text}'") == []


def test_an_example_of_the_api_itself_is_only_low() -> None:
    token = "ghp_" + random_text(36, 7)
    assert [finding.severity for finding in scan(f'"{token}"', public_text=f'"example": "{token}"')] == [
        Severity.LOW
    ]


def test_a_file_full_of_tokens_does_not_flood_the_report() -> None:
    lines = "\n".join(f'"ghp_{random_text(36, seed)}"' for seed in range(500))
    assert len(scan(lines)) == 20


@pytest.mark.parametrize(
    "unit", ["a1B", "a.", "-eyJ", "SG.", "x://", "secret=", '"secret":"', "-----BEGIN A", "\n", "a1B2c3D4/"]
)
def test_a_megabyte_made_to_be_slow_is_scanned_in_linear_time(unit: str) -> None:
    times = []
    for size in (100_000, 1_000_000):
        text = unit * (size // len(unit))
        started = time.process_time()
        scan(text)
        times.append(time.process_time() - started)
    assert times[1] < 40 * max(times[0], 0.02)


@pytest.mark.parametrize("word", ["contacts", "primary_key_of_the_parent_stream", "/v1/a/b/c/d/e/f/g/h/i/j/k"])
def test_words_and_paths_do_not_look_random(word: str) -> None:
    assert not looks_random(word)
