"""The only place where subjects, streams and buckets of the bus are spelled."""

from __future__ import annotations

from contracts.events import Fact

EVENTS_STREAM = "EVENTS"
TURNS_STREAM = "TURNS"
TIMERS_STREAM = "TIMERS"
DEAD_STREAM = "DEAD"
ARTIFACTS_BUCKET = "ARTIFACTS"

LOG_ACCOUNT = "LOG"
"""The bus's account that the streams are in (`infra.runtime.bus_users`)."""

API = f"$JS.{LOG_ACCOUNT}.API"
"""Before all requests to JetStream. On ``$JS.API`` an account's own JetStream answers, and only one account has it.
"""

ALL_EVENTS = "pipelines.>"
IMPORTED = "imported"
ALL_TURNS = "turns.>"
ALL_ACCOUNTS = "accounts.*"
ALL_ATTEMPTS = "attempts.>"
ALL_TIMERS = "timers.>"
ALL_DEAD = "dead.>"
TIMERS_FIRED = "timers.fired.*"
REFILL = "refill."
"""Before the subject of a message that the event store puts back (`infra.runtime.gate`)."""

CANCELS = "live.*.cancel"
PROGRESS = "live.*.progress"
PRESENCE = "live.presence"
"""Request and replies: every process of an agent says what it works on (`contracts.queries.Presence`)."""

CAPABILITIES = "live.capabilities"
"""Request and reply: which agents have a model (`contracts.queries.Capability`). Only who has one answers."""

SPANS = "live.spans"
"""What services tell of their work, as OTLP protobuf; the gateway hands it to a collector."""

STORE_READY = "ready.event_store"
"""Request and reply: whether the event store is well (`contracts.queries.StoreReady`). Every process asks, for its
own readiness, and the answer must not queue behind questions: so it is none of them."""


def event(pipeline: str, fact: type[Fact] | str) -> str:
    """``pipelines.<id>.<noun>.<verb>``"""
    return f"pipelines.{pipeline}.{fact if isinstance(fact, str) else fact.TYPE}"


def imported(pipeline: str, fact: str) -> str:
    """A fact that was said elsewhere and is only to be read here: in its pipeline's history, but on a subject that
    no service consumes."""
    return f"pipelines.{pipeline}.{IMPORTED}.{fact}"


def is_imported(subject: str) -> bool:
    return subject.split(".")[2:3] == [IMPORTED]


def any_pipeline(fact: type[Fact]) -> str:
    """What a service that reacts to ``fact`` subscribes to."""
    return f"pipelines.*.{fact.TYPE}"


def history(pipeline: str) -> str:
    """All facts of one pipeline: the filter of compare-and-set appends and of history reads."""
    return f"pipelines.{pipeline}.>"


def timer(pipeline: str, timer_id: str) -> str:
    """Where a timer waits (one schedule per subject)."""
    return f"timers.waiting.{pipeline}.{timer_id}"


def timer_fired(pipeline: str) -> str:
    """Where a timer's message arrives when its time has come; the router consumes it."""
    return f"timers.fired.{pipeline}"


def dead(service: str, pipeline: str) -> str:
    return f"dead.{service}.{pipeline}"


def turn(ledger: str, request: str) -> str:
    """A model's reply to the request with this hash."""
    return f"turns.{ledger}.{request}"


def effect(ledger: str, request: str, call: int) -> str:
    """What the n-th tool call (from 1) after that reply did."""
    return f"turns.{ledger}.{request}.{call}"


def account(pipeline: str) -> str:
    """What a pipeline has spent on model turns: its newest message is true (in the turns' stream)."""
    return f"accounts.{pipeline}"


def attempts(service: str, task: str) -> str:
    """What is known of a task's attempts besides their number: handed back, or advanced (in the turns' stream)."""
    return f"attempts.{service}.{task}"


def progress(pipeline: str) -> str:
    """Live, not kept: what an agent is doing right now."""
    return f"live.{pipeline}.progress"


def cancel(pipeline: str) -> str:
    """Live, not kept: every process stops its work for this pipeline."""
    return f"live.{pipeline}.cancel"


def query(name: str) -> str:
    """Request and reply with the event store: ``store.<name>``."""
    return f"store.{name}"
