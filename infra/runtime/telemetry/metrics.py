"""Every metric there is. Labels have few values each: no id, no name of a connector, nothing that others spell.

What a fact says is counted where it is stored (`appended`), so whoever wrote it, it counts once; one whose
acknowledgement was lost is not counted. What is read at a scrape is in `scrape`.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from contracts import events as e
from contracts.envelope import Envelope
from contracts.services import AGENTS, Service

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

STEP_SECONDS = (0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)


def _counter(name: str, help: str, *labels: str) -> Counter:
    return Counter(f"connectors_{name}", help, labels, registry=REGISTRY)


def _gauge(name: str, help: str, *labels: str) -> Gauge:
    return Gauge(f"connectors_{name}", help, labels, registry=REGISTRY)


def _histogram(name: str, help: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"connectors_{name}", help, labels, registry=REGISTRY, buckets=buckets)


# --- facts ----------------------------------------------------------------------------------------

FACTS = _counter("facts_appended_total", "Facts that this process stored in the log.", "type")
CONFLICTS = _counter(
    "log_conflicts_total", "Appends that were refused, because another fact came first, or not confirmed in time."
)
PIPELINES_ENDED = _counter("pipelines_ended_total", "Pipelines that came to an end.", "outcome")
VERDICTS = _counter("verdicts_total", "Verdicts of the reviewing agents.", "service", "verdict")
REPAIRS = _counter("repairs_total", "Rounds that the router asked for: code, tests, review, research.", "kind")
RETRIES = _counter("retries_total", "Tasks that the router asked for again after a failure.", "service")

# --- agents ---------------------------------------------------------------------------------------

IN_FLIGHT = _gauge("tasks_in_flight", "Tasks that this process works on right now.", "service")
TASK_SECONDS = _histogram(
    "task_seconds",
    "Seconds of one attempt at a task. Outcomes: done, transient, permanent, budget, cancelled, stopped.",
    STEP_SECONDS,
    *("service", "mode", "outcome"),
)
STRIKES = _counter(
    "task_strikes_total",
    "Tasks that were delivered again although nobody had handed them back: their worker died or hung.",
    "service",
)
DEAD_LETTERS = _counter("dead_letters_total", "Messages that were given up and buried.", "service")

# --- models ---------------------------------------------------------------------------------------

MODEL_TOKENS = _counter(
    "model_tokens_total",
    "Tokens paid for. Kinds: input, output, cache_read, cache_write.",
    "service",
    "model",
    "kind",
)
MODEL_COST_USD = _counter("model_cost_usd_total", "What model turns cost, in USD.", "service", "model")
MODEL_SECONDS = _histogram(
    "model_request_seconds",
    "Seconds of one request to a model. Outcomes: ok, cut_off, unreachable, or the HTTP status.",
    STEP_SECONDS,
    *("service", "model", "outcome"),
)
MODEL_REPLAYED = _counter(
    "model_turns_replayed_total", "Turns that were answered from the ledger and not paid again.", "service", "model"
)

# --- the bus, the copy, the process ---------------------------------------------------------------

PENDING = _gauge(
    "consumer_pending_messages",
    "Messages that the durable has not delivered yet. Every replica reports the same: take max, not sum.",
    "consumer",
)
ACK_PENDING = _gauge(
    "consumer_ack_pending_messages",
    "Messages that were delivered and not acknowledged. Every replica reports the same: take max, not sum.",
    "consumer",
)
BUS_CONNECTED = _gauge("bus_connected", "1 while this process is connected to the bus.", "service")
BUS_RECONNECTS = _counter(
    "bus_reconnects_total", "How often this process was connected to the bus again.", "service"
)
STREAM_BYTES = _gauge("stream_bytes", "How large a stream is.", "stream")
STREAM_MAX_BYTES = _gauge("stream_max_bytes", "How large a stream may become; then it refuses messages.", "stream")
STORE_LAG = _gauge("store_lag_facts", "Facts of the log that the SQL copy does not have yet.", "service")
PIPELINES = _gauge("pipelines", "Pipelines in the SQL copy.", "status")
MISSING_ARTIFACTS = _gauge(
    "missing_artifacts", "Artifacts that facts name and nobody has (at most 20 are counted).", "service"
)
READY = _gauge("ready", "1 if /readyz says so.", "service")
WARNINGS = _gauge("warnings", "How many warnings /readyz shows.", "service")
BUILD = _gauge("build_info", "Always 1; which code runs.", "service", "version")

# --- HTTP and spans -------------------------------------------------------------------------------

HTTP_REQUESTS = _counter(
    "http_requests_total",
    "Requests that the gateway answered, by the route's template.",
    "route",
    "method",
    "status",
)
HTTP_SECONDS = _histogram(
    "http_request_seconds",
    "Seconds until the gateway began to answer (a live stream goes on for long after that).",
    REQUEST_SECONDS,
    "route",
    "method",
)
SPANS_DROPPED = _counter("spans_dropped_total", "Spans that were not sent: queue_full, too_large, bus.", "reason")
SPAN_BATCHES = _counter(
    "span_batches_forwarded_total",
    "Batches of spans, as the collector took them: sent, refused, dropped.",
    "outcome",
)


def begin_at_zero(service: Service) -> None:
    """Show what ``service`` will count before it counts: what appears as 1 has not increased for any query
    (https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics).
    """
    own: list[tuple[Counter | Gauge, tuple[str, ...]]] = [
        (metric, (service.value,)) for metric in (STRIKES, DEAD_LETTERS, IN_FLIGHT) if service in AGENTS
    ]
    for metric, labels in own + _AT_ZERO.get(service, []):
        metric.labels(*labels)


def appended(envelope: Envelope) -> None:
    """Count a fact that this process stored, and what it says. What was imported happened elsewhere."""
    if envelope.imported:
        FACTS.labels("imported").inc()
        return
    FACTS.labels(envelope.type if envelope.type in e.FACTS else "other").inc()
    said = envelope.data
    match envelope.type:
        case e.PipelineCompleted.TYPE:
            PIPELINES_ENDED.labels(said.get("outcome")).inc()
        case e.PipelineFailed.TYPE | e.PipelineCancelled.TYPE:
            PIPELINES_ENDED.labels(envelope.type.removeprefix("pipeline.")).inc()
        case e.TestsReviewed.TYPE:
            VERDICTS.labels(Service.TEST_REVIEWER, said.get("verdict")).inc()
        case e.ReviewApproved.TYPE | e.ReviewRejected.TYPE:
            VERDICTS.labels(Service.REVIEWER, envelope.type.removeprefix("review.")).inc()
        case e.GenerationRequested.TYPE | e.TestsRequested.TYPE | e.ResearchRequested.TYPE if (
            said.get("attempt") == 1
        ):
            if kind := _REPAIRS.get((envelope.type, said.get("mode"))):
                REPAIRS.labels(kind).inc()
        case requested if requested in _ASKED and said.get("attempt", 1) > 1:
            RETRIES.labels(_ASKED[requested]).inc()


_REPAIRS = {
    (e.GenerationRequested.TYPE, e.GeneratorMode.FIX): "code",
    (e.GenerationRequested.TYPE, e.GeneratorMode.IMPROVE): "review",
    (e.TestsRequested.TYPE, e.TesterMode.FIX): "tests",
    (e.ResearchRequested.TYPE, None): "research",
}

_ASKED = {
    fact.TYPE: service.value
    for service, face in AGENTS.items()
    for fact in face.consumes
    if fact.TYPE.endswith(".requested")
}
"""Type of a request -> the service that is asked."""

_AT_ZERO: dict[Service, list[tuple[Counter | Gauge, tuple[str, ...]]]] = {
    Service.TEST_REVIEWER: [(VERDICTS, (Service.TEST_REVIEWER.value, verdict.value)) for verdict in e.Verdict],
    Service.REVIEWER: [(VERDICTS, (Service.REVIEWER.value, verdict)) for verdict in ("approved", "rejected")],
    Service.ROUTER: [
        *((PIPELINES_ENDED, (outcome,)) for outcome in ("success", "partial", "failed", "cancelled")),
        *((REPAIRS, (kind,)) for kind in _REPAIRS.values()),
        *((RETRIES, (agent.value,)) for agent in AGENTS),
    ],
    Service.GATEWAY: [(SPAN_BATCHES, (outcome,)) for outcome in ("sent", "refused", "dropped")],
}
