"""Run one agent on one input, without a bus: how people debug an agent.

A run folder is a pipeline in miniature: ``facts.jsonl`` is its log, ``artifacts/`` its store, and beside them
what the newest facts refer to is laid out as plain files. Each agent reads the folded state and appends its fact.
"""

from __future__ import annotations

import importlib
import re
import shutil
import tempfile
from pathlib import Path

from contracts import events as e
from contracts.answers import ANSWERS_MEDIA_TYPE
from contracts.artifacts import JSON_MEDIA_TYPE, TREE_MEDIA_TYPE, ArtifactRef
from contracts.envelope import Envelope, event_id, wrap
from contracts.errors import Rejected
from contracts.pipeline import REQUESTS, PipelineState, Task, fold, outstanding
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.agent import Agent, Artifacts, Job, Progress, Tools
from infra.runtime.artifacts import FolderArtifacts
from infra.runtime.claude.model import Models
from infra.runtime.recording import sanitised
from infra.runtime.trees import read_tree
from services.router.policy import decide

BY_HAND = "by hand"
FIRST_MODE: dict[type[e.Fact], str] = {
    e.GenerationRequested: e.GeneratorMode.GENERATE,
    e.TestsRequested: e.TesterMode.GENERATE,
}


class RunFolder:
    """The log, the artifacts and the laid-out files below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.artifacts: Artifacts = FolderArtifacts(root / "artifacts")
        self._log = root / "facts.jsonl"

    def envelopes(self) -> list[Envelope]:
        if not self._log.exists():
            return []
        return [Envelope.decode(line) for line in self._log.read_bytes().splitlines()]

    def state(self) -> PipelineState:
        return fold(self.envelopes())

    def append(self, fact: e.Fact, *, source: str, causation: str | None, id: str) -> None:
        """Write ``fact`` to the log."""
        log = self.envelopes()
        pipeline = log[0].pipeline if log else clock.new_id()
        envelope = wrap(fact, id=id, pipeline=pipeline, source=source, time=clock.now(), causation=causation)
        self.root.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log_file:
            log_file.write(envelope.encode() + b"\n")

    def answer(self, task: Task, fact: e.Fact) -> None:
        """Write an agent's answer to ``task``."""
        id = event_id(self.state().id, task.id, task.service)
        self.append(fact, source=task.service, causation=task.id, id=id)

    async def begin(
        self,
        name: str,
        document: bytes | None,
        spec_url: str | None,
        engine: e.Engine,
        recording: bytes | None = None,
    ) -> None:
        """Begin a new log, in place of one that is there. ``recording``: a HAR of the real API.

        Raises:
            Rejected: the recording is none, or holds no answers.
        """
        kept = sanitised(recording) if recording is not None else None
        answers = await self.artifacts.put(kept, ANSWERS_MEDIA_TYPE) if kept is not None else None
        self._log.unlink(missing_ok=True)
        ref = await self.artifacts.put(document, "application/octet-stream") if document is not None else None
        fact = e.PipelineSubmitted(name=name, engine=engine, document=ref, spec_url=spec_url, answers=answers)
        self.append(fact, source=Service.GATEWAY, causation=None, id=clock.new_id())

    async def lay_out(self, fact: e.Fact) -> list[Path]:
        """Write what ``fact`` refers to as files beside the log; returns their paths."""
        written = []
        for field, value in fact:
            if not isinstance(value, ArtifactRef):
                continue
            target = self.root / (f"{fact.TYPE.partition('.')[0]}_report" if field == "report" else field)
            if value.media_type == TREE_MEDIA_TYPE:
                shutil.rmtree(target, ignore_errors=True)
                for path, content in (await self.artifacts.get_tree(value)).items():
                    file = target / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
            else:
                target = target.with_suffix(".json") if value.media_type == JSON_MEDIA_TYPE else target
                target.write_bytes(await self.artifacts.get(value))
            written.append(target)
        return written


def _task_for(service: Service, folder: RunFolder) -> Task:
    """The task that ``service`` has open. Where it has none, the router decides, or else we ask on its behalf.

    Raises:
        Rejected: it is not its turn.
    """
    if task := _open_task(service, folder):
        return task
    state = folder.state()
    if not state.id:
        begin = "this folder holds no run yet; begin with `connectors run research --spec FILE`"
        raise Rejected(begin, where=str(folder.root))
    decided = {type(one.fact): one for one in decide(state, state.policy, code_version=BY_HAND)}
    wanted = REQUESTS[service]
    if decision := decided.get(wanted):
        folder.append(decision.fact, source=Service.ROUTER, causation=decision.causation, id=decision.id)
    elif state.choice is not None:
        values = {"mode": FIRST_MODE[wanted]} if wanted in FIRST_MODE else {}
        id = event_id(state.id, state.choice.id, wanted.TYPE)
        folder.append(wanted.model_validate(values), source=Service.ROUTER, causation=state.choice.id, id=id)
    if task := _open_task(service, folder):
        return task
    waiting = ", ".join(sorted(task.service for task in outstanding(state))) or "nobody"
    raise Rejected(f"it is not {service}'s turn; the run waits for {waiting}", where=str(folder.root))


def _open_task(service: Service, folder: RunFolder) -> Task | None:
    return next((task for task in outstanding(folder.state()) if task.service == service), None)


def load_agent(service: Service) -> Agent:
    """The agent of ``services.<service>``, with its settings from the environment."""
    handler = importlib.import_module(f"services.{service}.handler")
    settings = importlib.import_module(f"services.{service}.settings")
    loaded: Agent = handler.agent(settings.Settings())
    return loaded


async def adopt(package: Path, folder: RunFolder) -> None:
    """Take a package as it stands for the generator's answer; its tests are left out.

    Raises:
        Rejected: the run has no open task for the generator.
    """
    tree = read_tree(package)
    code = {path: content for path, content in tree.items() if not path.startswith("tests/")}
    task = _task_for(Service.GENERATOR, folder)
    ref = await folder.artifacts.put_tree(code)
    folder.answer(task, e.ConnectorGenerated(mode=e.GeneratorMode.GENERATE, code=ref))


async def run_alone(service: Service, folder: RunFolder, progress: Progress) -> tuple[e.Fact, list[Path]]:
    """Run ``service`` once on what ``folder`` holds.

    Returns its fact, already in the folder's log, and the files laid out for it.

    Raises:
        ConnectorsError: as the agent raised it.
    """
    task = _task_for(service, folder)
    agent = load_agent(service)
    with tempfile.TemporaryDirectory(prefix=f"connectors-{service}-") as workspace:
        job = Job(task=task, state=folder.state())
        model = Models(agent).in_folder(folder.root, job, folder.artifacts, progress) if agent.models else None
        fact = await agent.run(job, Path(workspace), Tools(folder.artifacts, progress, model))
    folder.answer(task, fact)
    return fact, await folder.lay_out(fact)


def name_from(source: str) -> str:
    """A connector's name made from a file's name or a URL: ``specs/My API.v2.yaml`` -> ``my-api-v2``."""
    stem = re.sub(r"\.(ya?ml|json)$", "", source.rstrip("/").rsplit("/", 1)[-1], flags=re.IGNORECASE)
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:50].strip("-")
    return name if name[:1].isalpha() else f"api-{name}".strip("-")[:50]
