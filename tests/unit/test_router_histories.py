"""Random legal histories: agents answer in any order, users interfere at any time, routers race and come late.

What a run of the machine may do is what the real log allows: every append is compare-and-set, so a stale decision
is refused and its router decides again; answers, however, may come late, twice, or for tasks long closed.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts import events as e
from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, Status, Task, evolve, open_task, startable
from contracts.policy import Policy
from contracts.services import Service
from services.router.policy import Decision, decide, elapsed, timers
from tests.support import scripted as s
from tests.support.log import CODE, Log

LEGAL: dict[Service, list[s.Answer]] = {
    Service.RESEARCH: [s.researched, s.same(s.researched)],
    Service.GENERATOR: [s.generated, s.same(s.generated)],
    Service.FIXTURES: [s.simulated, s.same(s.simulated)],
    Service.TESTER: [s.passed, s.failed],
    Service.TEST_REVIEWER: [
        make(proven) for make in (s.good, s.bad_code, s.bad_tests) for proven in (0, 4, 5, 7, 8, 10)
    ],
    Service.REVIEWER: [s.approved, *(s.rejected(blame, critical) for blame in e.Blame for critical in (0, 1))],
    Service.PUBLISHER: [s.published],
}
POLICIES = st.builds(
    Policy,
    test_repairs=st.integers(0, 3),
    code_repairs=st.integers(0, 3),
    review_cycles=st.integers(0, 2),
    researches=st.integers(0, 2),
    agent_retries=st.integers(0, 2),
    approval=st.sampled_from(["none", "required"]),
    budget_usd=st.sampled_from([0, 20]),
)
LOUD = st.integers(0, 9).map(lambda n: n == 0)


@dataclass
class Replica:
    """A router that decided at ``at`` facts and has not appended yet."""

    at: int = 0
    held: tuple[Decision, ...] = ()


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.begun: list[Task] = []
        self.met: set[tuple[str, str]] = set()
        self.replicas = [Replica(), Replica()]

    @property
    def policy(self) -> Policy:
        return self.log.state.policy

    def legal(self, data: st.DataObject, task: Task) -> s.Answer:
        lucky = not data.draw(LOUD, label="the agent fails")
        answers = LEGAL[task.service] if lucky else [s.transient, s.transient, s.broke, s.broke, s.permanent]
        return data.draw(st.sampled_from(answers), label=f"{task.service} says")

    @initialize(policy=POLICIES, seed=st.integers(0, 1_000_000))
    def submit(self, policy: Policy, seed: int) -> None:
        self.random = random.Random(seed)
        self.log.say(Service.GATEWAY, e.PipelineSubmitted(name="sample", policy=policy))

    # --- agents and users -----------------------------------------------------------------------

    def arrived(self) -> list[Task]:
        """Tasks whose fact no agent has looked at yet."""
        return [task for task in self.log.state.tasks if (task.service, task.id) not in self.met]

    def running(self) -> list[Task]:
        return [task for task in self.begun if open_task(self.log.state, task.service, task.id)]

    def meet(self, task: Task) -> None:
        """An agent starts what it may start and leaves the rest: it does not come back to it."""
        self.met.add((task.service, task.id))
        if startable(self.log.state, task.service, task.id):
            self.begun.append(task)

    @precondition(lambda self: self.arrived())
    @rule(data=st.data())
    def an_agent_meets_a_task(self, data: st.DataObject) -> None:
        self.meet(data.draw(st.sampled_from(self.arrived())))

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def an_agent_answers(self, data: st.DataObject) -> None:
        """Also one that began before a pause, or before its task went stale."""
        task = data.draw(st.sampled_from(self.running()))
        self.log.answer(task, self.legal(data, task))

    @rule(facts=st.integers(1, 12))
    def a_while_passes(self, facts: int) -> None:
        for _ in range(facts):
            self.log.route()
            self.go_on()

    @precondition(lambda self: self.begun and self.log.state.code and self.log.state.fixtures)
    @rule(data=st.data())
    def a_late_answer_changes_nothing(self, data: st.DataObject) -> None:
        late = [task for task in self.begun if task not in self.running()]
        assume(late)
        task, taken = data.draw(st.sampled_from(late)), len(self.log.taken)
        self.log.answer(task, self.legal(data, task))
        assert len(self.log.taken) == taken

    @rule(data=st.data())
    def a_duplicate_changes_nothing(self, data: st.DataObject) -> None:
        assert not self.log.put(data.draw(st.sampled_from(self.log.facts)))

    @rule(command=st.sampled_from([e.PipelinePauseRequested(), e.PipelineResumeRequested()]))
    def a_user_sets_the_level(self, command: e.Fact) -> None:
        self.log.say(Service.GATEWAY, command)

    @precondition(lambda self: len(self.log.facts) > 10)
    @rule()
    def a_user_cancels(self) -> None:
        self.log.say(Service.GATEWAY, e.PipelineCancelRequested())

    @precondition(lambda self: self.log.state.approval)
    @rule(answer=st.sampled_from([e.ApprovalGranted, e.ApprovalDenied]), right=st.booleans())
    def a_user_answers_the_request(self, answer: Any, right: bool) -> None:
        taken = len(self.log.taken)
        self.log.say(Service.GATEWAY, answer(request=self.log.state.approval if right else "another"))
        assert (len(self.log.taken) > taken) == right

    # --- routers --------------------------------------------------------------------------------

    @rule()
    def a_router_catches_up(self) -> None:
        self.log.route()

    @rule(n=st.integers(0, 1))
    def a_router_decides(self, n: int) -> None:
        self.replicas[n] = Replica(len(self.log.facts), self.log.decisions())

    @rule(n=st.integers(0, 1))
    def a_router_appends_late(self, n: int) -> None:
        replica = self.replicas[n]
        if replica.held and replica.at == len(self.log.facts):
            self.log.append(replica.held[0])
            self.replicas[n] = Replica(replica.at + 1, replica.held[1:])
        else:
            self.a_router_decides(n)

    @precondition(lambda self: self.log.state.failures)
    @rule(data=st.data())
    def a_timer_fires(self, data: st.DataObject) -> None:
        failure = data.draw(st.sampled_from(self.log.state.failures))
        if decision := elapsed(self.log.state, failure.id):
            self.log.append(decision)

    # --- what always holds ----------------------------------------------------------------------

    @invariant()
    def there_is_one_end_at_most(self) -> None:
        ends = sum(fact.type in e.FINAL for fact in self.log.taken)
        assert ends == self.log.state.status.final

    @invariant()
    def it_is_never_silent(self) -> None:
        state = self.log.state
        if not state.id or state.status.final:
            return
        waits_for_agent = self.running() or [task for task in self.arrived() if not task.stale]
        paused = state.status is Status.PAUSED and state.pause_wanted
        waits = waits_for_agent or timers(state, self.policy) or state.approval or paused
        assert waits or self.log.decisions()

    def teardown(self) -> None:
        """From wherever it stands, a pipeline whose agents answer and whose user resumes comes to an end."""
        if self.log.facts:
            self.log.say(Service.GATEWAY, e.PipelineResumeRequested())
            for _ in range(100):
                self.log.route()
                self.go_on()
                if self.log.state.approval:
                    self.log.say(Service.GATEWAY, e.ApprovalGranted(request=self.log.state.approval))
            assert self.log.state.status.final
            self.check_limits()
            self.check_no_test_twice()
            self.check_determinism()

    def go_on(self) -> None:
        for task in self.arrived():
            self.meet(task)
        if running := self.running():
            task = self.random.choice(running)
            self.log.answer(task, self.random.choice([*LEGAL[task.service] * 3, s.transient]))

    def check_limits(self) -> None:
        """Counted from the answers that were taken, not by the state's own counters."""
        policy, rounds = self.policy, Counter[str]()
        for fact in self.log.taken:
            mode = fact.data.get("mode", "")
            if fact.type == e.ResearchCompleted.TYPE:
                rounds["research"] += 1
                rounds["code"] = rounds["tests"] = 0
            rounds["code"] += fact.type == e.ConnectorGenerated.TYPE and mode == "FIX"
            rounds["improve"] += fact.type == e.ConnectorGenerated.TYPE and mode == "IMPROVE"
            rounds["tests"] += fact.type in (e.TestsPassed.TYPE, e.TestsFailed.TYPE) and mode == "FIX"
            assert rounds["research"] <= policy.researches + 1
            assert rounds["code"] <= policy.code_repairs
            assert rounds["tests"] <= policy.test_repairs
            assert rounds["improve"] <= policy.review_cycles
            assert fact.data.get("attempt", 1) <= policy.agent_retries + 1

    def check_no_test_twice(self) -> None:
        """Unless the tests themselves are at fault, what was judged is not judged a second time in a row."""
        made: dict[str, Any] = {}
        judged: dict[str, Any] = {}
        for fact in self.log.taken:
            made |= {part: fact.data[part] for part in ("blueprint", "code", "fixtures") if part in fact.data}
            if fact.type == e.TestsReviewed.TYPE:
                judged = dict(made)
            elif fact.type in (e.TestsPassed.TYPE, e.TestsFailed.TYPE) and fact.data["mode"] != "FIX":
                assert made != judged

    def check_determinism(self) -> None:
        """The same log, read back from the wire, gives the same states and the same decisions at every point."""
        live, wire = PipelineState(), PipelineState()
        for position, fact in enumerate(self.log.facts, start=1):
            live, wire = evolve(live, fact), evolve(wire, Envelope.decode(fact.encode()))
            assert live.position == position
            assert wire == live
            assert decide(wire, wire.policy, code_version=CODE) == decide(live, live.policy, code_version=CODE)
        assert live == self.log.state
        assert PipelineState.model_validate_json(live.model_dump_json()) == live


Histories.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestHistories = Histories.TestCase
