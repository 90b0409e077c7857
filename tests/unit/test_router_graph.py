"""Every edge of the graph, walked without a bus."""

from __future__ import annotations

import pytest

from contracts.pipeline import outstanding
from contracts.services import Service
from tests.support.log import Log
from tests.support.scripted import GRAPH, Cast, Scenario, decided


def walk(scenario: Scenario) -> Log:
    log, cast = Log(), Cast(scenario.script)
    log.say(Service.GATEWAY, scenario.submitted())
    while not log.state.status.final:
        tasks = outstanding(log.state)
        assert tasks, "nothing is open, but the pipeline has not ended"
        waiting, until = scenario.hold or (None, "")
        ready = [t for t in tasks if t.service != waiting or any(f.type == until for f in log.facts)]
        log.answer(ready[0], lambda state, task: cast.answer(state, task))
        log.route()
    return log


@pytest.mark.parametrize("scenario", GRAPH, ids=lambda s: s.name)
def test_graph_decides_as_the_table_says(scenario: Scenario) -> None:
    log = walk(scenario)

    assert decided(log.facts) == scenario.expected
    assert log.state.status is scenario.status
    assert scenario.says in (log.state.reason or "")
