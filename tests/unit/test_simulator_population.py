"""Which records path variables name, where the same thing has several names and several ways lead to it."""

from __future__ import annotations

from typing import Any

from contracts.simulation import Endpoint, PathBinding, Records, SimulatedApi, Source
from infra.runtime.simulator.plan import Plan
from infra.runtime.simulator.population import Population

THING: dict[str, Any] = {"type": "object", "properties": {"id": {"type": "string"}, "slug": {"type": "string"}}}
ORGS = "GET /orgs"
REPOS = "GET /orgs/{org}/repos"
PULLS = "GET /orgs/{org}/{repo}/pulls"
COMMITS = "GET /orgs/{org}/{repo}/pulls/{pull}/commits"
NOTES = "GET /orgs/{org}/{repo}/commits/{commit}/notes"


def endpoint(key: str, *bindings: PathBinding) -> Endpoint:
    records = Records(json_schema=THING, identity=(("id",), ("slug",)))
    return Endpoint(key=key, path=key.removeprefix("GET "), records=records, bindings=bindings)


def named(variable: str, *sources: Source) -> PathBinding:
    return PathBinding(variable=variable, sources=sources)


def of(key: str, field: str = "id", **shared: str) -> Source:
    return Source(endpoint=key, field=(field,), shared=shared)


ORG = named("org", of(ORGS), of(ORGS, "slug"))
"""An organisation goes by its id and by its slug."""
REPO = named("repo", of(REPOS, org="org"))
API = SimulatedApi(
    title="code",
    endpoints={
        each.key: each
        for each in (
            endpoint(ORGS),
            endpoint(REPOS, ORG),
            endpoint(PULLS, ORG, REPO),
            endpoint(COMMITS, ORG, REPO, named("pull", of(PULLS, org="org", repo="repo"))),
            # the commits of any pull request: which one, the path does not say
            endpoint(NOTES, ORG, REPO, named("commit", of(COMMITS, org="org", repo="repo"))),
        )
    },
)


def population() -> Population:
    return Population(API, Plan(records=2))


def first(people: Population, key: str, **variables: str) -> dict[str, Any]:
    """The first record of the partition that these values name."""
    partition = people.locate(key, variables)
    assert partition is not None
    return people.mould(key).record(0, partition.number, variables)


def test_a_name_may_be_any_of_those_that_the_record_has_all_the_way_down() -> None:
    people = population()
    for field in ("id", "slug"):
        org = first(people, ORGS)[field]
        repo = first(people, REPOS, org=org)["id"]
        pull = first(people, PULLS, org=org, repo=repo)["id"]
        commit = first(people, COMMITS, org=org, repo=repo, pull=pull)["id"]
        assert people.locate(NOTES, {"org": org, "repo": repo, "commit": commit}) is not None
        assert people.locate(NOTES, {"org": org, "repo": repo, "commit": pull}) is None


def test_a_parent_of_which_the_path_tells_only_a_part_is_sought_there_and_not_elsewhere() -> None:
    people = population()
    other_org = people.mould(ORGS).record(1, 0, {})["id"]
    org = first(people, ORGS)["id"]
    repo = first(people, REPOS, org=org)["id"]
    pull = first(people, PULLS, org=org, repo=repo)["id"]
    commit = first(people, COMMITS, org=org, repo=repo, pull=pull)["id"]
    other_repo = first(people, REPOS, org=other_org)["id"]
    assert people.locate(NOTES, {"org": other_org, "repo": other_repo, "commit": commit}) is None


def test_all_partitions_are_the_records_of_all_parents_once() -> None:
    people = population()
    found = [partition.values for partition in people.partitions(NOTES, {})]
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 2


def test_what_else_a_record_gives_comes_along_with_it_whoever_has_asked_before() -> None:
    forks = endpoint(
        "GET /forks/{org}/{fork}", named("fork", Source(endpoint=ORGS, field=("id",), also={"org": ("slug",)}))
    )
    api = SimulatedApi(title="code", endpoints={ORGS: API.endpoints[ORGS], forks.key: forks})
    people = Population(api, Plan(records=2))
    records = [people.mould(ORGS).record(index, 0, {}) for index in range(2)]
    assert people.locate(forks.key, {"org": records[0]["slug"], "fork": records[0]["id"]}) is not None
    assert people.locate(forks.key, {"org": records[0]["slug"], "fork": records[1]["id"]}) is None
    found = [partition.values for partition in people.partitions(forks.key, {})]
    assert found == [(record["slug"], record["id"]) for record in records]
