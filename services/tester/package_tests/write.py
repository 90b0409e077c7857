"""Writes the package's tests: from the document's evidence and the form of the config, never from the code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.artifacts import Tree
from contracts.simulation import AuthWay, OAuth2Check, SessionCheck, SimulatedApi
from services.tester.conformance.binding import Bindings, bind
from services.tester.conformance.session import Knowledge
from services.tester.conformance.variables import free_variables
from services.tester.package_tests import cases as kinds
from services.tester.package_tests.canned import ACCESS_TOKEN, ORIGIN, Canned, canned, ways_of
from services.tester.package_tests.cases import Case, Concession, Ledger, read_ledger
from services.tester.package_tests.configs import SERVICE_ACCOUNT, Ways, fill_in
from services.tester.package_tests.render import render

CONFTEST = "tests/conftest.py"
API = "tests/api.json"
SHARED = (CONFTEST, API)
"""What every test stands on."""

_WRITTEN = (CONFTEST, kinds.CONFIG, kinds.CONNECTION, kinds.DISCOVERY, kinds.READ)


@dataclass(frozen=True)
class Material:
    """What tests are written from. ``package``: the Python package (``source_x``). ``spec``: the
    ``connectionSpecification`` as the connector printed it. ``known``: which streams there should be, and which
    endpoint each reads."""

    package: str
    spec: Mapping[str, Any]
    api: SimulatedApi
    known: Knowledge


def write_tests(material: Material, concessions: Mapping[str, Concession] | None = None) -> Tree:
    """``tests/...``: the same material and concessions give the same bytes. Blocks (CPU, and ruff as a process).

    Args:
        concessions: what FIX gave up before (`read_ledger`), by the id of the test.

    Raises:
        Rejected: the form of the config does not say where the API is.
        Permanent: the rendered tests are no Python (a fault of the templates).
    """
    conceded = dict(concessions or {})
    token_path = _token_path(material.api)
    ways = fill_in(material.spec, material.api, ORIGIN, token_path, material.known.filled)
    bindings = _bound(material.known, material.api)
    one_page = frozenset(
        Case(test).parameter for test, kind in conceded.items() if kind == "one_page" and Case(test).parameter
    )
    variables = free_variables(
        material.api,
        next(iter(ways.right.values())),
        material.known.fields,
        frozenset(material.known.endpoints.values()),
    )
    answers = canned(material.api, bindings.bound, variables, one_page)
    possible = {case.id: case for case in _cases(material, ways, bindings, answers)}
    left_out = {test for test, kind in conceded.items() if kind == "left_out"}
    cases = {test: case for test, case in possible.items() if test not in left_out}
    # a concession about a test that there is no reason for any more is forgotten
    ledger = Ledger(cases, {test: kind for test, kind in conceded.items() if test in possible})
    context = _context(material, ways, answers, bindings.unbound, ledger, possible)
    tree = render({path: f"{path.removeprefix('tests/')}.j2" for path in _WRITTEN}, context)
    tree[API] = _api_json(material.api, ways, answers, token_path)
    tree[kinds.CASES] = ledger.encode()
    return dict(sorted(tree.items()))


def pageable(material: Material) -> frozenset[str]:
    """The streams whose answers come in pages."""
    bound = _bound(material.known, material.api).bound
    return frozenset(one.name for one in bound if one.endpoint.position.kind != "none")


def _expected_streams(known: Knowledge) -> list[str]:
    return [name for name in known.streams or known.endpoints if name not in known.missing]


def _bound(known: Knowledge, api: SimulatedApi) -> Bindings:
    """Streams and endpoints. A stream that is read per value of a query parameter is not among them: the simulated
    API gives the same answers for each."""
    found = bind([{"name": name} for name in _expected_streams(known)], api, known.endpoints, known.parents)
    unbound = dict(found.unbound)
    for one in sorted(found.bound, key=lambda each: each.depth):
        parents = known.parents.get(one.name, {})
        missing = [name for name in parents if f"{{{name}}}" not in one.endpoint.path]
        orphaned = [parent for parent in parents.values() if parent in unbound]
        if missing:
            unbound[one.name] = f"it is read once for each {missing[0]}, which is not part of its path"
        elif orphaned:
            unbound[one.name] = f"its parent {orphaned[0]} is not read here"
    return Bindings(tuple(one for one in found.bound if one.name not in unbound), unbound)


def _cases(material: Material, ways: Ways, bindings: Bindings, answers: Canned) -> Iterable[Case]:
    bound = {one.name: one for one in bindings.bound}
    guarded = frozenset(ways.wrong) if _is_guarded(material.api) else frozenset[str]()
    yield from kinds.config_cases(ways.required)
    yield from kinds.connection_cases(ways.titles, guarded)
    for name in _expected_streams(material.known):
        about = answers.streams.get(name)
        nested = bound[name].depth > 0 if about else None
        yield from kinds.stream_cases(name, nested=nested, identified=bool(about and about["identity"]))
    if ways.hidden:
        yield kinds.secret_case()


def _is_guarded(api: SimulatedApi) -> bool:
    return bool(api.auth) and () not in api.auth


def _token_path(api: SimulatedApi) -> str | None:
    checks = (check for way in _all_ways(api) for check in way)
    return min((check.token_path for check in checks if isinstance(check, OAuth2Check)), default=None)


def _logins(api: SimulatedApi) -> dict[str, Any]:
    """By their paths: what they want, and where their answer has the token."""
    checks = (check for way in _all_ways(api) for check in way if isinstance(check, SessionCheck))
    wanted = {"members", "token_path", "cookie"}
    return {f"{api.base_path}{check.login_path}": check.model_dump(mode="json", include=wanted) for check in checks}


def _all_ways(api: SimulatedApi) -> Iterator[AuthWay]:
    yield from api.auth
    for endpoint in api.endpoints.values():
        yield from endpoint.auth or ()


def _context(
    material: Material,
    ways: Ways,
    answers: Canned,
    unbound: Mapping[str, str],
    ledger: Ledger,
    possible: Mapping[str, Case],
) -> dict[str, Any]:
    """What the templates see."""

    def of(function: str) -> list[str]:
        return [case.stream or case.parameter for case in ledger.cases.values() if case.function == function]

    left_out = {**unbound, **answers.left_out}
    required = of("test_missing_field_is_a_config_error")
    return {
        "package": material.package,
        "connector": material.package.replace("_", "-"),
        "service_account": SERVICE_ACCOUNT if SERVICE_ACCOUNT in ways.hidden else "",
        "checks": {check.kind for way in _all_ways(material.api) for check in way},
        "pages_in_body": any(
            position["location"] == "body" for route in answers.routes.values() for position in route["positions"]
        ),
        "tests": {case.function for case in ledger.cases.values()},
        "guarded": _is_guarded(material.api),
        "required": {path: way for path, way in ways.required.items() if path in required},
        "ways": of("test_check_succeeds_with_right_credentials"),
        "guarded_ways": of("test_check_fails_with_wrong_credentials"),
        "offered": of("test_stream_is_offered"),
        "described": of("test_stream_has_a_schema"),
        "identified": of(kinds.PRIMARY_KEY),
        "read": of("test_every_record_is_read_once"),
        "ended": of("test_stream_ends_complete"),
        "saved": of("test_states_account_for_the_records"),
        "notes": {path: list(_notes(path, left_out, ledger, possible)) for path in _WRITTEN},
    }


def _notes(path: str, left_out: Mapping[str, str], ledger: Ledger, possible: Mapping[str, Case]) -> Iterable[str]:
    """What is not tested in a file, or not as the document has it, and why."""
    if path == kinds.READ:
        for name, reason in left_out.items():
            yield f"{name} is not read here: {reason}"
    for test, kind in sorted(ledger.concessions.items()):
        case = possible[test]
        if case.file != path:
            continue
        saw = f"the conformance kit saw the connector right ({case.confirms or 'in its reads'})"
        what = "its answers come in one page" if kind == "one_page" else "it is left out"
        yield f"{test.partition('::')[2]}: {saw} where the document says otherwise, so {what}"


def _api_json(api: SimulatedApi, ways: Ways, answers: Canned, token_path: str | None) -> bytes:
    """One line for each route and stream, so that a change is one line, too."""
    head = {
        "origin": ORIGIN,
        "access_token": ACCESS_TOKEN,
        "token_paths": [token_path] if token_path else [],
        "logins": _logins(api),
        "secrets": list(ways.secrets),
        "hidden": list(ways.hidden),
        "ways": ways_of(api.auth),
        "configs": {way: {"right": right, "wrong": ways.wrong.get(way)} for way, right in ways.right.items()},
    }
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    parts += [
        f"{json.dumps(key)}: {_lines(value)}"
        for key, value in (("streams", answers.streams), ("routes", answers.routes))
    ]
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def _lines(values: Mapping[str, Any]) -> str:
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def concessions_of(tests: Tree) -> Mapping[str, Concession]:
    """What was conceded in a tree of tests: hand it to `write_tests` when the code has changed."""
    return read_ledger(tests).concessions
