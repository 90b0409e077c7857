"""Where the API lives: servers, their variables, relative and placeholder URLs. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from contracts.blueprint import BaseUrl, Candidate, Decision, Evidence, Gap, Parameter
from infra.runtime.documents import Document, Server
from infra.runtime.documents.document import absolute_url, as_list
from services.research.openapi.endpoint import VARIABLE
from services.research.openapi.ranking import candidate, decide
from services.research.openapi.words import snake

_NOT_PRODUCTION = re.compile(r"\b(sandbox|staging|test(ing)?|dev(elopment)?|mock|demo|local(host)?|beta|qa|uat)\b")
_PRODUCTION = re.compile(r"\bprod(uction)?\b|\blive\b")
_PLACEHOLDER = re.compile(r"^[<\[]?(?:your|my)[-_]?([a-z0-9-]*)[>\]]?$|^<([^<>]+)>$", re.IGNORECASE)
_EXAMPLE_HOSTS = re.compile(r"(^|\.)example\.(com|org|net)$|\.(example|invalid|test)$")


class Where(NamedTuple):
    """The decision, the parameters of the chosen server, and a gap if the user has to say more."""

    decision: Decision[BaseUrl | None]
    parameters: tuple[Parameter, ...]
    gaps: tuple[Gap, ...]


def find_base_url(document: Document, document_url: str | None) -> Where:
    """OpenAPI 3.1 section 4.8.5: relative server URLs are relative to the document's own."""
    options: list[Candidate[BaseUrl | None]] = []
    parameters: dict[str, tuple[Parameter, ...]] = {}
    for rank, server in enumerate(document.servers()):
        url = absolute_url(server.url, document_url)
        if url is None:
            continue
        template, found = _with_placeholders(url.rstrip("/"), server)
        parameters[template] = found
        options.append(_option(template, server, rank, relative=url != server.url))
    if not options and document_url is not None and not document.servers():
        parts = urlsplit(document_url)
        note = "the document names no server: the host that it came from"
        options.append(
            candidate(
                BaseUrl(template=f"{parts.scheme}://{parts.netloc}"), 0.3, Evidence(pointer=document_url, note=note)
            )
        )
    if not options:
        options.append(candidate(None, 0.9, Evidence(pointer="/servers", note="no absolute server URL")))
    decision = decide(options)
    gaps = _gaps(decision)
    chosen = decision.value
    return Where(decision, parameters.get(chosen.template, ()) if chosen else (), gaps)


def _option(template: str, server: Server, rank: int, *, relative: bool) -> Candidate[BaseUrl | None]:
    text = f"{server.description} {template}".lower()
    score = 0.95 - 0.03 * rank
    if _PRODUCTION.search(text):
        score += 0.04
    elif _NOT_PRODUCTION.search(text):
        score -= 0.4
    if template.startswith("http://"):
        score -= 0.1
    if relative:
        score -= 0.2
    if _EXAMPLE_HOSTS.search(urlsplit(template).hostname or ""):
        score = min(score, 0.3)
    return candidate(
        BaseUrl(template=template), score, Evidence(pointer=server.pointer, note=server.description[:200])
    )


def _with_placeholders(url: str, server: Server) -> tuple[str, tuple[Parameter, ...]]:
    """Server variables as parameters; a host label such as ``your-domain`` becomes a variable too."""
    parameters = []
    for name in dict.fromkeys(VARIABLE.findall(url)):
        spec = server.variables.get(name, {})
        default = spec.get("default")
        parameters.append(
            Parameter(
                name=snake(name) or "server",
                location="server",
                target=name,
                description=str(spec.get("description") or f"The {name} in the API's URL"),
                enum=tuple(str(value) for value in as_list(spec.get("enum"))),
                default=str(default) if default not in (None, "") else None,
                required=default in (None, ""),
            )
        )
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    labels = host.split(".")
    match = _PLACEHOLDER.match(labels[0]) if len(labels) > 2 else None
    if match:
        name = snake(match[1] or match[2] or "") or "domain"
        labels[0] = f"{{{name}}}"
        text = f"The first part of your own address, in place of {host.split('.')[0]} in {host}"
        parameters.append(Parameter(name=name, location="server", target=name, description=text))
    return f"{scheme}://{'.'.join(labels)}{slash}{path}", tuple(parameters)


def _gaps(decision: Decision[BaseUrl | None]) -> tuple[Gap, ...]:
    if decision.value is None:
        reason = "the document names no absolute server URL: give base_url in the config"
    elif decision.confidence <= 0.3:
        reason = f"{decision.value.template} is a guess or an example: check it, or give base_url in the config"
    else:
        return ()
    return (Gap(subject="base_url", reason=reason, evidence=decision.evidence),)
