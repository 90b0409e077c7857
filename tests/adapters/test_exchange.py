"""A pipeline as a file, out of one stack and into another: real buses, event stores, HTTP, and loops of agents."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from contracts import events as e
from contracts import subjects
from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef
from contracts.envelope import Envelope
from contracts.errors import Rejected
from contracts.exchange import BLOBS, FACTS, MANIFEST
from contracts.pipeline import Status
from contracts.services import AGENTS, Service
from gateway.settings import Settings
from infra.cli.control import Options
from infra.cli.exchange import export, import_
from infra.runtime.bus import Bus
from tests.support.facts import life, pipeline_id
from tests.support.graph import routing
from tests.support.nats import append, fast
from tests.support.scripted import Cast, Scenario, decided
from tests.support.site import Site, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

ZIP = {"Content-Type": "application/zip"}
DOCUMENT = b'{"openapi": "3.1.0"}'
TREE = {"source/main.py": b"print('hello')\n", "README.md": b"# acme\n"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Site, Site]]:
    """Here, where nobody works, and there."""
    folder, small = tmp_path_factory.mktemp("sites"), Settings(max_import_bytes=1024 * 1024)
    async with site(folder / "here", at_work=False) as here, site(folder / "there", gateway=small) as there:
        yield here, there


async def lived(bus: Bus, number: int, facts: int = 12) -> list[Envelope]:
    """The first facts of a pipeline whose artifacts are a tree."""
    tree = await bus.artifacts.put_tree({**TREE, "number": str(number).encode()})
    events = life(pipeline_id(number), artifact=tree)[:facts]
    last = 0
    for event in events:
        last = await bus.log.append(event, expected_last=last)
    return events


async def exported(site: Site, pipeline: str) -> bytes:
    answer = await site.client.get(f"/pipelines/{pipeline}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return answer.content


async def imported(site: Site, content: bytes, status: int = 201) -> dict[str, Any]:
    answer = await site.client.post("/imports", content=content, headers=ZIP)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def quiet(bus: Bus) -> None:
    """Every agent and the router have handled all that was ever delivered to them."""
    async with asyncio.timeout(20):
        for service in (*AGENTS, Service.ROUTER):
            info = await bus.js.consumer_info(subjects.EVENTS_STREAM, service.value)
            while info.num_pending or info.num_ack_pending:
                await asyncio.sleep(0.02)
                info = await bus.js.consumer_info(subjects.EVENTS_STREAM, service.value)


async def test_a_pipeline_with_its_ancestors_and_artifacts_is_read_and_forked_elsewhere(
    sites: tuple[Site, Site],
) -> None:
    here, there = sites
    await lived(here.bus, 1)
    fork = (await here.client.post(f"/pipelines/{pipeline_id(1)}/fork", json={"at": 6})).json()["pipeline_id"]
    await append(here.bus, fork, e.PipelinePauseRequested())
    facts = [envelope for _, envelope in await here.bus.log.whole_history(fork)]
    assert len(facts) == 8

    content = await exported(here, fork)
    taken = await imported(there, content)

    assert taken["pipelines"] == [pipeline_id(1), fork]
    assert taken["facts"] == 12 + len(facts) - 6
    came = [envelope for _, envelope in await there.bus.log.whole_history(fork)]
    assert [envelope.model_copy(update={"imported": None}) for envelope in came] == facts
    assert all(envelope.imported for envelope in came)
    seen = (await there.client.get(f"/pipelines/{fork}")).json()
    assert (seen["imported"], seen["status"], seen["parent"]) == (True, "imported", pipeline_id(1))
    for at in range(1, len(facts) + 1):
        states = [(await s.client.get(f"/pipelines/{fork}/state?at={at}")).json()["state"] for s in sites]
        assert states[1] == {**states[0], "imported": True}
    tree = ArtifactRef.model_validate(facts[1].data["blueprint"])
    assert await there.bus.artifacts.get_tree(tree) == {**TREE, "number": b"1"}
    assert await imported(there, content, status=200) == {**taken, "facts": 0, "known": taken["facts"]}
    assert await imported(here, content, status=200) == {**taken, "facts": 0, "known": taken["facts"]}

    there.stage.casts[fork] = (Scenario("", ""), Cast({}))
    answer = await there.client.post(f"/pipelines/{fork}/fork", json={"at": 6})
    assert answer.status_code == 202, answer.text
    again = answer.json()["pipeline_id"]
    assert (await there.stage.end(again)).status is Status.SUCCESS
    assert decided(await there.stage.facts(again))[0] == "test_review"
    assert not (await there.client.get(f"/pipelines/{again}")).json()["imported"]


@pytest.mark.parametrize("facts", [1, 2, 4, 6, 10, 11])
async def test_an_imported_open_pipeline_starts_no_work(sites: tuple[Site, Site], facts: int) -> None:
    """Whatever was open where it came from; nor does a router that starts, nor anything that a user asks of it."""
    here, there = sites
    events = await lived(here.bus, 100 + facts, facts=facts)
    content = await exported(here, events[0].pipeline)

    taken = await imported(there, content)
    await quiet(there.bus)
    async with routing(there.server, fast(Path("unused"))):  # looks at all open pipelines
        await quiet(there.bus)
    for asked in ("pause", "resume", "cancel"):
        answer = await there.client.post(f"/pipelines/{taken['pipeline_id']}/{asked}")
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "imported")

    assert len(await there.bus.log.history(taken["pipeline_id"])) == facts
    seen = (await there.client.get(f"/pipelines/{taken['pipeline_id']}")).json()
    assert (seen["status"], seen["tasks"]) == ("imported", [])

    await append(here.bus, events[0].pipeline, e.PipelineCancelRequested())
    later = await imported(there, await exported(here, events[0].pipeline))
    assert (later["known"], later["facts"]) == (facts, 1)

    # Past the gateway: this wakes the router.
    await append(there.bus, events[0].pipeline, e.PipelineResumeRequested())
    await asyncio.sleep(0.3)
    await quiet(there.bus)
    came = [fact.type for _, fact in await there.bus.log.history(events[0].pipeline)]
    assert came[facts:] == ["pipeline.cancel_requested", "pipeline.resume_requested"]


async def test_the_command_line_writes_a_whole_file_or_none(sites: tuple[Site, Site], tmp_path: Path) -> None:
    here, there = (Options(str(site.client.base_url), tmp_path) for site in sites)
    await lived(sites[0].bus, 6)
    out = Console(file=io.StringIO(), width=200)
    assert await export(pipeline_id(6), tmp_path / "a.zip", here, out) == 0
    assert await import_(tmp_path / "a.zip", there, out) == 0
    assert isinstance(out.file, io.StringIO)
    assert "12 facts and 4 artifacts" in out.file.getvalue()
    with pytest.raises(Rejected, match="there is no pipeline"):
        await export("0" * 32, tmp_path / "b.zip", here, out)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


async def test_lost_artifacts_are_told_and_do_not_hold_up(sites: tuple[Site, Site]) -> None:
    here, there = sites
    lost = ArtifactRef.of(b"never stored", "application/json")
    last = 0
    for event in life(pipeline_id(3), artifact=lost):
        last = await here.bus.log.append(event, expected_last=last)
    taken = await imported(there, await exported(here, pipeline_id(3)))
    assert (taken["missing"], taken["artifacts"]) == ([lost.sha256], 0)


async def test_another_history_of_the_same_pipeline_is_refused(sites: tuple[Site, Site]) -> None:
    here, there = sites
    await lived(here.bus, 4)
    there.stage.casts[pipeline_id(4)] = (Scenario("", "", hold=(Service.RESEARCH, "never")), Cast({}))
    await lived(there.bus, 4, facts=1)
    content = await exported(here, pipeline_id(4))
    assert "is at work here" in (await imported(there, content, status=409))["detail"]
    await append(there.bus, pipeline_id(4), e.PipelineCancelRequested())
    assert "another history" in (await imported(there, content, status=409))["detail"]
    assert (await here.client.get(f"/pipelines/{'0' * 32}/export")).status_code == 404


# --- hostile files ------------------------------------------------------------------------------

Entries = dict[str, bytes]


def unpacked(content: bytes) -> tuple[Entries, list[dict[str, Any]], dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    facts = [json.loads(line) for line in entries.pop(FACTS).splitlines()]
    return entries, facts, json.loads(entries.pop(MANIFEST))


def packed(entries: Entries, lines: list[dict[str, Any]], manifest: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        archive.writestr(FACTS, "".join(json.dumps(line) + "\n" for line in lines))
        archive.writestr(MANIFEST, json.dumps(manifest))
    return file.getvalue()


@dataclass
class File:
    """An exported pipeline, to be falsified."""

    entries: Entries
    facts: list[dict[str, Any]]
    manifest: dict[str, Any]

    @property
    def blob(self) -> str:
        return [name for name in self.entries if name.startswith(BLOBS)][-1]

    def add(self, content: bytes, media_type: str) -> None:
        """An artifact that the second fact names."""
        ref = ArtifactRef.of(content, media_type)
        self.entries[BLOBS + ref.sha256] = content
        self.facts[1]["data"]["document"] = ref.model_dump()

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = self.manifest["pipelines"][0]
        return told


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


FORK = {"type": "pipeline.forked", "dataversion": 1, "data": {"parent": "f" * 32, "at": 3}}
LIES: dict[str, tuple[Callable[[File], object], str]] = {
    "newer": (lambda f: f.manifest.update(format=2), "format 2"),
    "path": (lambda f: f.entries.update({"../../etc/passwd": b"root"}), "entry called '../../etc/passwd'"),
    "content": (lambda f: f.entries.update({f.blob: b"another"}), "is not what the facts name"),
    "lacking": (lambda f: f.entries.pop(f.blob), "is not in it"),
    "unnamed": (lambda f: f.entries.update({BLOBS + "0" * 64: b""}), "no fact names"),
    "twice": (lambda f: f.facts[3].update(id=f.facts[2]["id"]), "line 4 of facts.jsonl has the id of another"),
    "header": (lambda f: f.facts[3].update(id="a\r\nNats-Rollup: all"), "line 4 of facts.jsonl has an id"),
    "version": (lambda f: f.facts[3].update(dataversion=99), "made by a newer one"),
    "type": (lambda f: f.facts[3].update(type="pipeline.owned"), "which this stack does not know"),
    "data": (lambda f: f.facts[3].update(data={"fixtures": 1}), "line 4 of facts.jsonl is no fixtures.created"),
    "other": (lambda f: f.facts[3].update(subject="f" * 32), "line 4 of facts.jsonl is of another pipeline"),
    "marked": (lambda f: f.facts[3].update(imported=True), "marked as imported"),
    "begins": (lambda f: (f.facts.pop(0), f.told.update(facts=11)), "begins a pipeline with research.completed"),
    "count": (lambda f: f.told.update(facts=13), "fewer facts than"),
    "repeated": (lambda f: f.manifest.update(pipelines=[f.told] * 2), "names a pipeline twice"),
    "orphan": (lambda f: f.facts[0].update(FORK), "forks a pipeline that does not come before it"),
    "tree": (lambda f: f.add(b" " * (8 * 1024 * 1024 + 1), TREE_MEDIA_TYPE), "has more than 8,388,608 bytes"),
    "nested": (lambda f: f.facts[3]["data"].update(deep=nested(300)), "line 4 of facts.jsonl is no fact"),
    "long": (lambda f: f.facts[3]["data"].update(padding="x" * 1_000_001), "too long"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sound(sites: tuple[Site, Site]) -> bytes:
    await lived(sites[0].bus, 5)
    return await exported(sites[0], pipeline_id(5))


@pytest.mark.parametrize("kind", LIES)
async def test_a_file_that_lies_is_refused_and_changes_nothing(
    sites: tuple[Site, Site], sound: bytes, kind: str
) -> None:
    file = File(*unpacked(sound))
    lie, says = LIES[kind]
    lie(file)
    problem = await imported(sites[1], packed(file.entries, file.facts, file.manifest), status=422)
    assert says in problem["detail"]
    assert not await sites[1].bus.log.history(pipeline_id(5))


async def test_a_damaged_or_too_large_file_is_refused(sites: tuple[Site, Site], sound: bytes) -> None:
    there = sites[1]
    for content in (b"", b"PK", b"x" * 5000, sound[:-1], sound[: len(sound) // 2], sound[:200] + sound[300:]):
        assert "no exported pipeline" in (await imported(there, content, status=422))["detail"]
    flipped = bytearray(sound)
    flipped[len(sound) // 3] ^= 0xFF
    assert "no exported pipeline" in (await imported(there, bytes(flipped), status=422))["detail"]
    assert "1,048,576 bytes" in (await imported(there, b"x" * (1024 * 1024 + 1), status=413))["detail"]
    answer = await there.client.post("/imports", content=sound, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert not await there.bus.log.history(pipeline_id(5))


async def test_a_directory_of_very_many_entries_is_not_read(sites: tuple[Site, Site], sound: bytes) -> None:
    """Its size is in the file's last bytes; reading it would take memory without bound."""
    huge = bytearray(sound)
    huge[-10:-6] = (200 * 1024 * 1024).to_bytes(4, "little")
    assert "more than 50,000 entries" in (await imported(sites[1], bytes(huge), status=422))["detail"]
