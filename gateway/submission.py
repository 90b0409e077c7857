"""What a user may ask for, and whether it makes sense. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator, model_validator

from contracts.base import Slug
from contracts.events import Engine
from contracts.policy import Policy
from gateway.problems import Fault, Problem, invalid

MAX_URL_LENGTH = 2048
SNIFFED_BYTES = 64 * 1024
NO_DOCUMENT = (
    "without a document (`spec_url` or an upload) or a model there is nothing to go on. Give the API's OpenAPI "
    'document as `"spec_url": "https://..."`, as `"document"` in the JSON body, or upload it: '
    "`curl -F connector_name=NAME -F document=@openapi.yaml`; or start research and generator with a model's key"
)
NO_MODEL = "engine `claude` needs research and generator with a model's key; start them so, or use `auto`"

_SLUG = TypeAdapter(Slug)
_PRIVATE_NAMES = re.compile(r"(^|\.)(local|internal|localdomain|home\.arpa|intranet|lan|corp)$")
_LOCALHOST = re.compile(r"(^|\.)localhost$")
_VERSION_KEY = re.compile(rb"(?m)^['\"]?(openapi|swagger)['\"]?\s*:")
_NOT_TEXT = (b"%PDF", b"PK\x03\x04", b"\x1f\x8b", b"\x89PNG", b"\xff\xd8", b"GIF8")


class StrictPolicy(Policy):
    """A misspelt limit must not pass silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Submission(BaseModel):
    """The body of ``POST /generate``. ``document``: the OpenAPI document itself, as an object or as text.
    ``approval`` is short for the policy's."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    connector_name: str
    connector_type: Literal["source"] = "source"
    spec_url: str | None = None
    engine: Engine = Engine.AUTO
    policy: StrictPolicy = StrictPolicy()
    approval: Literal["none", "required"] | None = None
    document: dict[str, Any] | str | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Submission:
        if self.approval is not None and "approval" in self.policy.model_fields_set:
            raise ValueError("`approval` is there twice; give it either here or in `policy`")
        return self

    @property
    def whole_policy(self) -> Policy:
        """``policy`` with ``approval`` in it."""
        given = {} if self.approval is None else {"approval": self.approval}
        return Policy.model_validate({**self.policy.model_dump(), **given})

    @field_validator("connector_name")
    @classmethod
    def _is_slug(cls, name: str) -> str:
        try:
            return _SLUG.validate_python(name)
        except ValidationError:
            raise ValueError(
                "a connector's name is lower-case words and digits joined by single hyphens, at most 50 characters "
                "and starting with a letter, like `google-sheets`"
            ) from None

    @field_validator("connector_type", mode="before")
    @classmethod
    def _is_source(cls, value: object) -> object:
        if value == "destination":
            raise ValueError("destination connectors come later; only `source` can be generated now")
        if value != "source":
            raise ValueError("only `source` can be generated")
        return value


@dataclass(frozen=True)
class Document:
    """An API document as it was given."""

    content: bytes
    media_type: str


def parse(body: Any) -> Submission:
    """The submission in a JSON value or a form's fields.

    Raises:
        Problem: 422 that names every fault.
    """
    if not isinstance(body, dict):
        raise invalid("invalid-request", 'the body must be a JSON object like {"connector_name": "google-sheets"}')
    try:
        return Submission.model_validate(body)
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False, include_input=False)]
        raise invalid(
            "invalid-request", "; ".join(f"{f['pointer']}: {f['detail']}" for f in faults), faults
        ) from None


def _fault(fault: Any) -> Fault:
    path = [str(part) for part in fault["loc"] if part not in ("dict[str,any]", "str")]
    detail = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        known = StrictPolicy.model_fields if len(path) > 1 else Submission.model_fields
        detail = f"there is no such field; there are {', '.join(known)}"
    return {"pointer": "#/" + "/".join(path), "detail": detail}


def inline_document(given: dict[str, Any] | str | None) -> Document | None:
    """The document in a JSON body, as bytes.

    Raises:
        Problem: 422: it is not worth a pipeline.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return sniff(given.encode())
    if "openapi" not in given and "swagger" not in given:
        raise _no_openapi("it has neither `openapi` nor `swagger` at its top")
    return Document(json.dumps(given, ensure_ascii=False).encode("utf-8", "surrogatepass"), "application/json")


def sniff(content: bytes) -> Document:
    """A bounded look at a document; whether it is a good one, research finds out.

    Raises:
        Problem: 422: certainly no OpenAPI document.
    """
    head = content[:SNIFFED_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        raise _no_openapi("it is empty")
    if b"\0" in head or head.startswith(_NOT_TEXT):
        raise _no_openapi("it is not text")
    if head[:200].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise _no_openapi("it is a web page or XML; give the document itself, not the page that shows it")
    is_json = head[:1] == b"{"
    if not is_json and len(content) <= SNIFFED_BYTES and not _VERSION_KEY.search(head):
        raise _no_openapi("it has neither `openapi` nor `swagger` at its top")
    return Document(content, "application/json" if is_json else "application/yaml")


def _no_openapi(why: str) -> Problem:
    detail = f"the document is no OpenAPI 3.x or Swagger 2.0 document: {why}"
    return invalid("no-openapi", detail, [{"pointer": "#/document", "detail": why}])


def check_spec_url(url: str, *, allow_loopback: bool) -> str:
    """``url`` itself, if a document may be read from there as far as the URL shows; its addresses are checked when
    it is fetched.

    Raises:
        Problem: 422.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _bad_url(f"this is no URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise _bad_url("only http and https URLs are read; upload a local file as `document`")
    if not host or port == 0 or len(url) > MAX_URL_LENGTH or re.search(r"[\x00-\x20\x7f]", url):
        raise _bad_url(f"this is no complete URL of at most {MAX_URL_LENGTH} characters")
    if parts.username is not None or parts.password is not None:
        raise _bad_url("credentials in a URL would end up in the log; download the document and upload it instead")
    if not _may_be_public(host, allow_loopback=allow_loopback):
        raise _bad_url(f"{host} is not public; upload the document instead")
    return url


def _may_be_public(host: str, *, allow_loopback: bool) -> bool:
    from infra.runtime.documents.web import FetchPolicy, is_allowed  # an HTTP client: 150 ms, only when used

    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if _LOCALHOST.search(host.rstrip(".")):
            return allow_loopback
        return not _PRIVATE_NAMES.search(host.rstrip("."))
    return is_allowed(address, FetchPolicy(allow_loopback=allow_loopback))


def _bad_url(why: str) -> Problem:
    return invalid("bad-spec-url", f"spec_url: {why}", [{"pointer": "#/spec_url", "detail": why}])
