"""What a chaos run plays: the same for the same seed, and of everything something."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from contracts.events import (
    Fact,
    PipelineCancelRequested,
    PipelinePauseRequested,
    PipelineResumeRequested,
    PipelineSubmitted,
)
from contracts.pipeline import Status, outstanding
from contracts.services import Service
from tests.chaos.monkey import BUS, blows
from tests.chaos.plays import Ending, undisturbed
from tests.chaos.run import Chaos
from tests.support.log import Log
from tests.support.scripted import HAPPY

CHAOS = Chaos(seed=1, pipelines=120, folder=Path("nowhere"))


def test_a_run_holds_every_loop_end_and_interruption() -> None:
    plays = CHAOS.plays()
    endings = [undisturbed(play) for play in plays]
    assert {ending.status for ending in endings} == {
        Status.SUCCESS,
        Status.PARTIAL,
        Status.FAILED,
        Status.CANCELLED,
    }
    decisions = {word for ending in endings for word in ending.decisions}
    assert decisions >= {"generation:FIX", "generation:IMPROVE", "tests:FIX", "tests:RERUN", "research"}
    assert decisions >= {"tests:GENERATE#2", "approval:success", "publish:partial"}
    assert {play.granted for play in plays if play.policy.approval == "required"} == {True, False}
    assert any(play.paused_after for play in plays)
    assert len({play.cancelled_at for play in plays}) > 3


def test_the_seed_gives_the_plays_and_the_blows() -> None:
    targets = [BUS, *Service]
    assert CHAOS.plays() == Chaos(seed=1, pipelines=120, folder=Path("elsewhere")).plays()
    assert list(islice(blows(1, targets, 0.5), 50)) == list(islice(blows(1, targets, 0.5), 50))
    assert list(islice(blows(1, targets, 0.5), 50)) != list(islice(blows(2, targets, 0.5), 50))
    some = list(islice(blows(1, targets, 0.5), 400))
    assert {blow.target for blow in some} == set(targets)
    assert {blow.target for blow in some if blow.pause_s} == {BUS}


def test_a_pause_and_what_it_renews_are_no_part_of_an_ending() -> None:
    def played_with(*requests: Fact) -> Ending:
        log = Log()
        log.say(Service.GATEWAY, PipelineSubmitted(name="paused"))
        while not log.state.status.final:
            log.route()
            if log.state.tasks and log.state.tasks[0].service is Service.TESTER:
                for request in requests:
                    log.say(Service.GATEWAY, request)
                    log.route()
                requests = ()
            for task in outstanding(log.state)[:1]:
                log.answer(task, HAPPY[task.service])
        return Ending.of(log.facts)

    undisturbed, paused = played_with(), played_with(PipelinePauseRequested(), PipelineResumeRequested())
    assert undisturbed == paused
    assert undisturbed != played_with(PipelineCancelRequested())
