"""A working config, made from nothing but the connector's ``connectionSpecification``. Pure but for the salt."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from contracts.errors import Rejected

MAX_DEPTH = 12
BASE_URLS = ("base_url", "api_url", "api_base_url", "server_url", "instance_url", "url", "endpoint", "host")
SERVICE_ACCOUNT = re.compile(r"service_?account|credentials_json", re.IGNORECASE)
"""Names that fields for the JSON of a service account's key go by."""
_NO_TOKEN_URL = "http://localhost/no-token-endpoint"  # noqa: S105 - for an API without one
_TOKEN_URL = re.compile(r"token.*ur[li]|ur[li].*token", re.IGNORECASE)

Schema = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """``secrets`` are the values marked ``airbyte_secret``: they must never be seen again. ``accepted`` are all
    made-up texts (user names, client ids too): what the simulated API has to let in."""

    values: dict[str, Any]
    secrets: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Form:
    """A connector's ``connectionSpecification``, ready to be filled in. The same form always makes the same values;
    ``salt`` keeps them unlike those of any other run. ``also``: fields to be set though they may be left out."""

    schema: Schema
    salt: str = field(default_factory=lambda: secrets.token_hex(6))
    also: frozenset[str] = frozenset()

    @property
    def variants(self) -> tuple[str, ...]:
        """The titles of the ways to give credentials: the options of the first choice (``oneOf``) there is."""
        for node in self._properties().values():
            options = _options(self._resolved(node))
            if len(options) > 1:
                return tuple(str(self._resolved(option).get("title", n)) for n, option in enumerate(options))
        return ("",)

    @property
    def has_secrets(self) -> bool:
        return bool(self.fill("http://localhost", None).secrets)

    def without(self, fields: Iterable[str]) -> Form:
        return replace(self, also=self.also.difference(fields))

    def fill(self, base_url: str, token_url: str | None, variant: int = 0) -> Config:
        """
        Raises:
            Rejected: nothing in the form says where the API is, so it cannot be pointed at a simulated one.
        """
        name = self._base_url_name()
        filler = _Filler(self, variant, {name: base_url}, token_url)
        values = filler.object(self.schema, (), 0)
        return Config(values, frozenset(filler.secrets), frozenset(filler.accepted))

    def _base_url_name(self) -> str:
        properties = self._properties()
        named = [name for name in BASE_URLS if name in properties]
        addresses = [name for name, node in properties.items() if self._resolved(node).get("format") == "uri"]
        for name in (*named, *addresses):
            if not _TOKEN_URL.search(name):
                return name
        raise Rejected("the connector's config has no base_url, so it cannot be tried against a simulated API")

    def _properties(self) -> dict[str, Schema]:
        properties = self._resolved(self.schema).get("properties")
        return properties if isinstance(properties, dict) else {}

    def _resolved(self, node: Any) -> Schema:
        """The node itself, or what a local ``$ref`` points at."""
        for _ in range(MAX_DEPTH):
            if not isinstance(node, dict) or "$ref" not in node:
                break
            target: Any = self.schema
            for key in str(node["$ref"]).removeprefix("#/").split("/"):
                target = target.get(key) if isinstance(target, dict) else None
            node = target
        return node if isinstance(node, dict) else {}


def optional(schema: Schema, fields: Iterable[str]) -> list[str]:
    """Of ``fields`` those that a form has and does not require."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return [name for name in fields if name in properties and name not in required]


def _options(node: Schema) -> list[Any]:
    """The alternatives of a node, without the one that only says that it may be null."""
    found = node.get("oneOf") or node.get("anyOf")
    options = found if isinstance(found, list) else []
    return [option for option in options if not (isinstance(option, dict) and option.get("type") == "null")]


class _Filler:
    def __init__(self, form: Form, variant: int, given: dict[str, str], token_url: str | None) -> None:
        self._form = form
        self._variant = variant
        self._given = given
        self._token_url = token_url
        self.secrets: set[str] = set()
        self.accepted: set[str] = set()

    def object(self, node: Schema, path: tuple[str, ...], depth: int) -> dict[str, Any]:
        required = node.get("required", [])
        properties = node.get("properties", {})
        values: dict[str, Any] = {}
        for name, part in properties.items() if isinstance(properties, dict) else ():
            if not path and name in self._given:
                values[name] = self._given[name]
            elif SERVICE_ACCOUNT.search(name) and self._form._resolved(part).get("airbyte_secret"):
                values[name] = self._service_account()
            elif _TOKEN_URL.search(name):
                if self._token_url is not None:
                    values[name] = self._token_url
                elif name in required:
                    values[name] = next(iter(self._given.values()))
            elif name in required or (not path and (name in self._form.also or self._holds_secrets(part, 0))):
                values[name] = self.value(self._form._resolved(part), (*path, name), depth + 1)
        return values

    def value(self, node: Schema, path: tuple[str, ...], depth: int) -> Any:
        if depth > MAX_DEPTH:
            return None
        secret = bool(node.get("airbyte_secret"))
        for key in ("const", "default") if not secret else ():
            if key in node:
                return node[key]
        if enum := node.get("enum"):
            return enum[0]
        if options := _options(node):
            chosen = options[self._variant if len(path) == 1 and self._variant < len(options) else 0]
            beside = {key: value for key, value in node.items() if key not in ("oneOf", "anyOf")}
            return self.value(_merged(beside, self._form._resolved(chosen)), path, depth + 1)
        # an example of a time may be later than the records: an early one leaves none of them out
        if node.get("examples") and not secret and node.get("format") not in ("date", "date-time"):
            return node["examples"][0]
        return self._typed(node, path, depth, secret)

    def _typed(self, node: Schema, path: tuple[str, ...], depth: int, secret: bool) -> Any:
        kind = node.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        if "object" in kinds or "properties" in node:
            return self.object(node, path, depth)
        if "array" in kinds:
            item = self._form._resolved(node.get("items"))
            return [self.value(item, (*path, "item"), depth + 1)] * max(int(node.get("minItems", 1)), 1)
        if "integer" in kinds or "number" in kinds:
            return node.get("minimum", 1)
        if "boolean" in kinds:
            return False
        return self._text(node, path, secret)

    def _text(self, node: Schema, path: tuple[str, ...], secret: bool) -> str:
        digest = hashlib.sha256(f"{self._form.salt}/{'/'.join(path)}".encode()).hexdigest()
        fixed = {
            "date-time": "2020-01-01T00:00:00Z",
            "date": "2020-01-01",
            "uri": next(iter(self._given.values())),
            "email": f"kit{digest[:12]}@example.com",
            "uuid": f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}",
        }
        fresh = f"kit{digest[: max(min(int(node.get('maxLength', 24)), 24) - 3, 1)]}"
        text = fixed.get(str(node.get("format")), fresh) if not secret else fresh
        pattern = node.get("pattern")
        if pattern and not secret and not _fits(str(pattern), text):
            text = next((each for each in _candidates(digest) if _fits(str(pattern), each)), text)
        if secret:
            self.secrets.add(text)
        self.accepted.add(text)
        return text

    def _service_account(self) -> str:
        """The JSON of a key, as Google issues them; its private key is a secret of its own."""
        key = private_key()
        digest = hashlib.sha256(f"{self._form.salt}/service account".encode()).hexdigest()
        about = {
            "type": "service_account",
            "private_key_id": f"kit{digest[:37]}",
            "client_email": f"kit{digest[:12]}@kit.iam.gserviceaccount.com",
            "token_uri": self._token_url or _NO_TOKEN_URL,
        }
        text = json.dumps({**about, "private_key": key})
        self.secrets |= {text, json.dumps(key)[1:-1], max(key.splitlines(), key=len)}
        self.accepted.add(text)
        return text

    def _holds_secrets(self, part: Any, depth: int) -> bool:
        node = self._form._resolved(part)
        if node.get("airbyte_secret") or depth > MAX_DEPTH:
            return bool(node.get("airbyte_secret"))
        parts = [*_options(node), *(node.get("properties") or {}).values()]
        return any(self._holds_secrets(each, depth + 1) for each in parts)


_making_key = threading.Lock()


def private_key() -> str:
    """A real RSA key in PEM form (PKCS #8), made once per process: it takes half a second. Threads get the same."""
    with _making_key:
        return _private_key()


@cache
def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def _merged(outer: Schema, inner: Schema) -> Schema:
    """An option together with what stands beside the choice."""
    required = [*outer.get("required", []), *inner.get("required", [])]
    properties = {**(outer.get("properties") or {}), **(inner.get("properties") or {})}
    return {**outer, **inner, "required": required, "properties": properties}


def _fits(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern[:500], text) is not None
    except re.error:
        return True


def _candidates(digest: str) -> Iterator[str]:
    """Texts that usual patterns ask for."""
    yield from ("2020-01-01T00:00:00Z", "2020-01-01", "2020-01-01 00:00:00", "1", "1234567890")
    yield from ("a", "abc", digest, digest[:8], digest.upper(), "https://example.com", "example.com", "en", "US")
