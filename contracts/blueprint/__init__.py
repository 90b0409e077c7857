"""The `ApiBlueprint`: what is known about an API, typed, with the evidence for each decision.

Research decides; the generator compiles. A repair without a model changes only which of a decision's ranked
options is taken (``choices``).
"""

from __future__ import annotations

from contracts.blueprint.access import (
    ApiKeyAuth,
    AuthMethod,
    AuthScheme,
    BaseUrl,
    BasicAuth,
    BearerAuth,
    LoginField,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
    Parameter,
    RateLimit,
    ServiceAccountJwtAuth,
    SessionTokenAuth,
)
from contracts.blueprint.decisions import (
    Candidate,
    Decision,
    Evidence,
    Gap,
    JsonPath,
    Source,
)
from contracts.blueprint.pagination import (
    CursorPagination,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    PageSize,
    Pagination,
)
from contracts.blueprint.streams import (
    STREAM_OPTIONS,
    ApiBlueprint,
    Binding,
    Choices,
    Cursor,
    IncrementalFilter,
    Parent,
    Request,
    Selector,
    Stream,
    TimeFormat,
    option_key,
)

__all__ = [
    "STREAM_OPTIONS",
    "ApiBlueprint",
    "ApiKeyAuth",
    "AuthMethod",
    "AuthScheme",
    "BaseUrl",
    "BasicAuth",
    "BearerAuth",
    "Binding",
    "Candidate",
    "Choices",
    "Cursor",
    "CursorPagination",
    "Decision",
    "Evidence",
    "Gap",
    "IncrementalFilter",
    "JsonPath",
    "LastRecordPagination",
    "LinkHeaderPagination",
    "LoginField",
    "NextUrlPagination",
    "NoPagination",
    "OAuth2ClientCredentialsAuth",
    "OAuth2RefreshTokenAuth",
    "OffsetPagination",
    "PageNumberPagination",
    "PageSize",
    "Pagination",
    "Parameter",
    "Parent",
    "RateLimit",
    "Request",
    "Selector",
    "ServiceAccountJwtAuth",
    "SessionTokenAuth",
    "Source",
    "Stream",
    "TimeFormat",
    "option_key",
]
