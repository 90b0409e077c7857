"""Which stream reads which endpoint, and what has to be read first."""

from __future__ import annotations

from contracts.simulation import SimulatedApi
from services.tester.agreement import agree
from services.tester.conformance.binding import Bindings, bind, endpoints_of, grouped, parents_of
from tests.support import tiny_connector
from tests.support.blueprints import blueprint, child, stream
from tests.unit.test_tester_agreement import endpoint


def bindings() -> Bindings:
    """orgs > repos > issues by path, and comments of issues by query."""
    comments = child("comments", "issues", "/comments", "issue")
    known = blueprint(
        stream("orgs"),
        child("repos", "orgs", "/orgs/{org}/repos", "org"),
        child("issues", "repos", "/orgs/{org}/repos/{repo}/issues", "repo"),
        comments,
        child("reactions", "comments", "/comments/{comment}/reactions", "comment"),
        stream("unknown"),
    )
    paths = (
        "/orgs",
        "/orgs/{org}/repos",
        "/orgs/{org}/repos/{repo}/issues",
        "/comments",
        "/comments/{comment}/reactions",
    )
    api = SimulatedApi(title="x", endpoints={f"GET {path}": endpoint(path) for path in paths})
    endpoints = endpoints_of(known, {}, api)
    api, _ = agree(api, known, {}, endpoints)
    return bind([{"name": one.name} for one in known.streams], api, endpoints, parents_of(known, {}))


def test_streams_are_grouped_by_what_has_to_be_read_first():
    found = bindings()
    groups = [[one.name for one in group] for group in grouped(found.bound)]
    assert groups == [["orgs"], ["comments"], ["repos"], ["reactions"], ["issues"]]
    assert list(found.unbound) == ["unknown"]


def test_a_parent_named_in_the_query_stands_alone_for_children_too():
    by_name = {one.name: one for one in bindings().bound}
    issues = "GET /orgs/{org}/repos/{repo}/issues"
    assert by_name["comments"].query_parents == by_name["reactions"].query_parents == {issues}
    assert by_name["issues"].query_parents == frozenset()
    assert "GET /orgs" in by_name["reactions"].reads_first
    assert by_name["issues"].via == {"repo": "GET /orgs/{org}/repos"}


def test_one_of_each_shape_is_enough():
    api = tiny_connector.api()
    catalog = [{"name": name} for name in (*tiny_connector.ENDPOINTS, "again")]
    found = bind(catalog, api, {**tiny_connector.ENDPOINTS, "again": "GET /deals"})
    assert [one.name for one in found.one_of_each_shape()] == ["contacts", "deals", "notes"]
