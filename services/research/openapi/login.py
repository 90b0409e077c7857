"""Logins: operations that take credentials and answer with a token. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from contracts.blueprint import ApiKeyAuth, AuthScheme, BearerAuth, Evidence, JsonPath, LoginField, SessionTokenAuth
from infra.runtime.documents import Document, Operation, media_of
from services.research.openapi.words import phrases, snake, vocabulary, words

_PLACES = phrases(
    "login|log in|signin|sign in|logon|authenticate|authentication|auth|session|sessions|token|tokens|"
    "access token|auth token|api token|jwt|jwt token"
)
"""What the last part of the path of a login says, alone or after a verb."""
_VERBS = vocabulary("create get generate obtain request new issue post")
_SECRETS = vocabulary("password passwd passphrase pwd secret apikey pin")
_SECRET_ENDS = (("api", "key"), ("app", "key"), ("private", "key"), ("access", "key"), ("secret", "key"))
_USERS = vocabulary("username user login email account identifier userid id key name")
_TOKENS = phrases(
    "token|access token|auth token|jwt|jwt token|id token|bearer token|session token|session id|session|sid|"
    "api token|authentication token|session key|accesstoken|authtoken|sessionid|sessiontoken"
)
_ENVELOPES = vocabulary("data result response auth authentication session token user")
_LIFETIMES = phrases("expires in|expire in|expiresin|ttl|lifetime|expires in seconds")
_FITTING = vocabulary("token session jwt auth bearer sid access authorization login")
"""Words of a scheme that wants what a login gives; an ``X-Api-Key`` is made elsewhere."""
_NODES = 60


class Login(NamedTuple):
    """A login, without where its token goes."""

    operation: Operation
    encoding: str
    fields: tuple[LoginField, ...]
    constants: Mapping[str, str | int | float | bool]
    token_path: JsonPath
    cookie: str
    expires_in_path: JsonPath | None

    @property
    def evidence(self) -> Evidence:
        what = ".".join(self.token_path) or f"the cookie {self.cookie}"
        return Evidence(pointer=self.operation.pointer, note=f"a login: {what} of its answer")

    def scheme(self, wanted: AuthScheme) -> SessionTokenAuth | None:
        """The login as a way to get what ``wanted`` sends; None if that is something else."""
        where = _place(wanted)
        if where is None or (self.cookie and (where["location"], where["name"]) != ("cookie", self.cookie)):
            return None
        return SessionTokenAuth.model_validate(
            {
                "path": self.operation.path,
                "encoding": self.encoding,
                "fields": self.fields,
                "constants": self.constants,
                "token_path": self.token_path,
                "cookie": self.cookie,
                "expires_in_path": self.expires_in_path,
                **where,
            }
        )


def _place(wanted: AuthScheme) -> dict[str, str] | None:
    if isinstance(wanted, BearerAuth):
        return {"location": "header", "name": "Authorization", "prefix": "Bearer "}
    if isinstance(wanted, ApiKeyAuth) and (wanted.location == "cookie" or _FITTING & set(words(wanted.name))):
        return {"location": wanted.location, "name": wanted.name, "prefix": wanted.prefix}
    return None


def find_login(document: Document, cookies: Iterable[str]) -> Login | None:
    """The document's first login. ``cookies`` are those by which its security schemes know a client."""
    for operation in document.operations():
        if operation.method == "post" and _is_open(operation) and _sounds_like_login(operation.path):
            found = _login(document, operation, tuple(cookies))
            if found is not None:
                return found
    return None


def _is_open(operation: Operation) -> bool:
    """Whoever logs in has nothing to show yet."""
    return not any(operation.security or ())


def _sounds_like_login(path: str) -> bool:
    last = path.rstrip("/").rpartition("/")[2]
    if "{" in path or not last:
        return False
    said = [word for word in words(last) if word not in _VERBS]
    return " ".join(said) in _PLACES


def _login(document: Document, operation: Operation, cookies: tuple[str, ...]) -> Login | None:
    found = media_of(document, operation.request_body, kinds=("json", "x-www-form-urlencoded"))
    if found is None:
        return None
    media_type, media = found
    body = document.schema(media.get("schema"), max_nodes=_NODES, max_depth=2)
    members = body.get("properties")
    if not isinstance(members, dict) or "grant_type" in members:
        return None
    required = frozenset(name for name in body.get("required", ()) if isinstance(name, str))
    fields, constants = _sent(members, required)
    if not any(field.secret for field in fields) or required - {field.name for field in fields} - constants.keys():
        return None
    answer = _answer(document, operation)
    token_path = _token(answer)
    cookie = "" if token_path else _cookie(operation, cookies)
    if not token_path and not cookie:
        return None
    encoding = "form" if "form" in media_type else "json"
    return Login(operation, encoding, fields, constants, token_path, cookie, _lifetime(answer, token_path))


def _sent(
    members: Mapping[str, Any], required: frozenset[str]
) -> tuple[tuple[LoginField, ...], dict[str, str | int | float | bool]]:
    """What the user gives, and what is sent besides because the login insists on it."""
    fields: list[LoginField] = []
    constants: dict[str, str | int | float | bool] = {}
    for name, schema in members.items():
        kind = schema.get("type") if isinstance(schema, dict) else None
        texts = kind == "string" or (isinstance(kind, list) and "string" in kind)
        field = snake(name) or "value"
        if texts and _is_secret(words(name)):
            fields.append(LoginField(name=name, field=field))
        elif texts and (enum := tuple(str(value) for value in schema.get("enum", ()) if value is not None)):
            usual = schema.get("default") or schema.get("example")
            default = usual if usual in enum else enum[0]
            fields.append(
                LoginField(name=name, field=field, secret=False, required=False, enum=enum, default=default)
            )
        elif texts and (set(words(name)) & _USERS or name in required):
            fields.append(LoginField(name=name, field=field, secret=False))
        elif name in required and isinstance(schema.get("default"), str | int | float | bool):
            constants[name] = schema["default"]
    secret = [field for field in fields if field.secret]
    users = [field for field in fields if not field.secret and not field.enum]
    if not required and len(users) > 1:
        # several names for the user, none of them required: the first is enough
        fields = [field for field in fields if field.enum or field in (users[0], *secret)]
    return tuple(fields), constants


def _is_secret(name: tuple[str, ...]) -> bool:
    return bool(set(name) & _SECRETS) or name[-2:] in _SECRET_ENDS


def _answer(document: Document, operation: Operation) -> Mapping[str, Any]:
    success = operation.success
    media = media_of(document, success[1]) if success else None
    return document.schema(media[1].get("schema"), max_nodes=_NODES, max_depth=3) if media else {}


def _members(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _token(answer: Mapping[str, Any]) -> JsonPath:
    """Where the token is: a text with such a name at the top, else in an envelope."""
    if found := _named(answer, _TOKENS):
        return found
    for name, schema in _members(answer).items():
        if isinstance(schema, dict) and set(words(name)) & _ENVELOPES and (found := _named(schema, _TOKENS)):
            return (name, *found)
    return ()


def _named(schema: Mapping[str, Any], names: frozenset[str]) -> JsonPath:
    ranked = [
        (" ".join(words(name)) != "access token", name)
        for name, member in _members(schema).items()
        if " ".join(words(name)) in names and isinstance(member, dict) and not _members(member)
    ]
    return (min(ranked)[1],) if ranked else ()


def _lifetime(answer: Mapping[str, Any], token_path: JsonPath) -> JsonPath | None:
    schema = answer
    for key in token_path[:-1]:
        schema = _members(schema)[key]
    found = _named(schema, _LIFETIMES)
    return (*token_path[:-1], *found) if token_path and found else None


def _cookie(operation: Operation, cookies: tuple[str, ...]) -> str:
    """The cookie of a scheme that the answer sets, as its ``Set-Cookie`` header or its text says."""
    success = operation.success
    if success is None:
        return ""
    headers = success[1].get("headers")
    names = {str(name).lower() for name in headers} if isinstance(headers, dict) else set()
    told = f"{success[1].get('description') or ''} {operation.description} {headers if headers else ''}"
    for cookie in cookies:
        if "set-cookie" in names or re.search(rf"\b{re.escape(cookie)}\b", told):
            return cookie
    return ""
