"""Whole lives of pipelines, decided by the real `decide`, with agents that follow chance or a script."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from contracts import events as e
from contracts.policy import Policy
from contracts.services import Service
from tests.support import scripted as s
from tests.support.log import PIPELINE, Log

ANSWERS: dict[Service, Sequence[s.Answer]] = {
    Service.RESEARCH: [s.researched, s.researched, s.transient],
    Service.GENERATOR: [s.generated, s.generated, s.generated, s.transient, s.broke],
    Service.FIXTURES: [s.simulated, s.simulated, s.transient, s.broke],
    Service.TESTER: [s.passed, s.failed, s.transient],
    Service.TEST_REVIEWER: [make(n) for make in (s.good, s.bad_code, s.bad_tests) for n in (4, 7, 9, 10)],
    Service.REVIEWER: [s.approved, s.rejected(), s.rejected(e.Blame.CONTEXT), s.rejected(critical=1)],
    Service.PUBLISHER: [s.published, s.transient, s.permanent],
}


def lived(policy: Policy, seed: int, *, pipeline: str = PIPELINE, facts: int = 60) -> Log:
    """A pipeline whose agents say the same things in the same order, whatever the policy: as long as two policies
    decide the same, their logs are the same. It ends, or is left with about so many ``facts``."""
    log, chance = Log(pipeline), random.Random(seed)
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="sample", policy=policy))
    while len(log.facts) < facts:
        log.route()
        if log.state.approval:
            log.say(Service.GATEWAY, e.ApprovalGranted(request=log.state.approval))
        elif log.state.tasks:
            task = chance.choice(log.state.tasks)
            log.answer(task, chance.choice(ANSWERS[task.service]))
        else:
            break
    log.route()
    return log


def scripted(*verdicts: s.Answer, pipeline: str = PIPELINE, **policy: Any) -> Log:
    """A pipeline whose test reviewer says ``verdicts`` and all others are content."""
    log, cast = Log(pipeline), s.Cast({Service.TEST_REVIEWER: verdicts})
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="sample", policy=Policy(**policy)))
    log.route()
    while log.state.tasks:
        task = log.state.tasks[0]
        log.answer(task, lambda state, task: cast.answer(state, task))
        log.route()
    return log
