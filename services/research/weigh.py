"""What an answer is worth that rests on what a model wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from contracts.blueprint import (
    STREAM_OPTIONS,
    ApiBlueprint,
    Candidate,
    Decision,
    Gap,
    OAuth2ClientCredentialsAuth,
    OAuth2RefreshTokenAuth,
    Stream,
)
from contracts.errors import Permanent
from infra.runtime.documents import Document
from infra.runtime.documents.researched import Researched, original
from services.research.openapi.engine import infer
from services.research.openapi.ranking import decision

FROM_PAGES = 0.75
"""The most that an answer is worth which rests on what a model wrote: below `ranking.HIGH`, as nothing that the
API's makers stand behind says it (infra/decisions/0009)."""

T = TypeVar("T")


def weighed(blueprint: ApiBlueprint, document: Document, mark: Researched) -> ApiBlueprint:
    """``blueprint`` of ``document`` with sources and gaps of ``mark``. What the document does not say without the
    model's part is worth `FROM_PAGES` at most. As long as no source is named (`analyse`) no host is strange."""
    before = _before(document, mark, blueprint)
    old = {stream.name: stream for stream in before.streams} if before is not None else {}
    streams = tuple(_weighed_stream(stream, old.get(stream.name)) for stream in blueprint.streams)
    found = blueprint.model_copy(
        update={
            "base_url": _weighed(blueprint.base_url, before.base_url if before else None),
            "auth": _weighed(blueprint.auth, before.auth if before else None),
            "rate_limit": _weighed(blueprint.rate_limit, before.rate_limit if before else None),
            "streams": streams,
            "document_url": _main_source(mark) if mark.whole else blueprint.document_url,
            "sources": mark.sources,
        }
    )
    strange = () if mark.whole and not mark.sources else _strange_hosts(found, before)
    gaps = (*found.gaps, *mark.gaps, *strange)
    unlike = {(gap.subject, gap.reason): gap for gap in reversed(gaps)}
    return found.model_copy(update={"gaps": tuple(unlike.values())[::-1]})


def _main_source(mark: Researched) -> str | None:
    return mark.sources[0].url if mark.sources else None


def _before(document: Document, mark: Researched, blueprint: ApiBlueprint) -> ApiBlueprint | None:
    alone = original(document, mark)
    try:
        return infer(alone, name=blueprint.name, document_url=blueprint.document_url) if alone is not None else None
    except Permanent:  # without the model's part there is no list in it
        return None


def _weighed_stream(stream: Stream, old: Stream | None) -> Stream:
    return stream.model_copy(
        update={field: _weighed(getattr(stream, field), getattr(old, field, None)) for field in STREAM_OPTIONS}
    )


def _weighed(now: Decision[T], before: Decision[T] | None) -> Decision[T]:
    known = before.options if before is not None else ()
    return decision([_bounded(option, known) for option in now.options])


def _bounded(option: Candidate[T], known: Sequence[Candidate[T]]) -> Candidate[T]:
    most = max((old.confidence for old in known if old.value == option.value), default=0.0)
    return option.model_copy(update={"confidence": min(option.confidence, max(most, FROM_PAGES))})


def _strange_hosts(blueprint: ApiBlueprint, before: ApiBlueprint | None) -> Iterator[Gap]:
    """Hosts that get credentials and are neither the document's nor of a page that was read."""
    known = {_domain(url) for _, url in _urls(before)} if before is not None else set()
    known |= {_domain(source.url) for source in blueprint.sources}
    for subject, url in _urls(blueprint):
        if _domain(url) not in known:
            reason = f"{url[:200]} gets credentials, and no page that was read is of that host: check it before use"
            yield Gap(subject=subject, reason=reason)


def _urls(blueprint: ApiBlueprint) -> Iterable[tuple[str, str]]:
    if blueprint.base_url.value is not None:
        yield "base_url", blueprint.base_url.value.template
    for method in blueprint.auth.value:
        for scheme in method.schemes:
            if isinstance(scheme, OAuth2ClientCredentialsAuth | OAuth2RefreshTokenAuth):
                yield "auth", scheme.token_url


def _domain(url: str) -> str:
    """The end of the host by which hosts of one owner are told: its last two labels."""
    try:
        return ".".join((urlsplit(url).hostname or "").lower().split(".")[-2:])
    except ValueError:
        return ""
