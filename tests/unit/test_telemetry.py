"""Headers, what facts count as, and spans that nobody takes: without a bus."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Any

import nats.errors
import pytest

from contracts import events as e
from contracts.envelope import Envelope, wrap
from contracts.errors import Permanent
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.context import Place, at, here, parent, parse, root_span, traceparent
from infra.runtime.telemetry.export import KEPT_SPANS, ROOM_BYTES, BusRecorder
from infra.runtime.telemetry.spans import recording, span
from tests.support.collector import SpanSeen, decoded

PIPELINE, OTHER = "0af7651916cd43dd8448eb211c80319c", "1" * 32
SPAN = "b7ad6b7169203331"


@dataclass
class Nc:
    """A connection as far as spans go; ``trouble`` is what publishing raises."""

    is_connected: bool = True
    max_payload: int = 64 * 1024
    trouble: Exception | None = None
    sent: list[bytes] = field(default_factory=list)

    async def publish(self, subject: str, payload: bytes) -> None:
        assert subject == "live.spans"
        if self.trouble is not None:
            raise self.trouble
        self.sent.append(payload)

    @property
    def spans(self) -> list[SpanSeen]:
        return [one for payload in self.sent for one in decoded(payload)]


def recorder(nc: Nc) -> BusRecorder:
    return BusRecorder(nc, Service.TESTER)  # type: ignore[arg-type]


def dropped(reason: str) -> float:
    return counter("spans_dropped", reason=reason)


def counter(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"connectors_{name}_total", labels) or 0


# --- the header -----------------------------------------------------------------------------------


def test_outside_of_any_span_the_parent_is_the_root() -> None:
    assert traceparent(PIPELINE) == f"00-{PIPELINE}-{PIPELINE[16:]}-01"


def test_what_a_message_came_with_is_passed_on_where_nobody_records() -> None:
    came = {"traceparent": f"00-{PIPELINE}-{SPAN}-01"}
    with at(Place(PIPELINE, parent(came, PIPELINE))), span("work"):
        assert traceparent(PIPELINE) == came["traceparent"]
        assert traceparent(OTHER) == f"00-{OTHER}-{OTHER[16:]}-01", "of another pipeline"
    assert here() is None


@pytest.mark.parametrize(
    "header",
    [None, "", "nonsense", f"00-{OTHER}-{SPAN}-01", f"00-{PIPELINE}-{'0' * 16}-01", f"ff-{PIPELINE}-{SPAN}-01"],
)
def test_a_header_that_names_no_span_of_the_pipeline_leads_to_the_root(header: str | None) -> None:
    headers = None if header is None else {"traceparent": header}
    assert parent(headers, PIPELINE) == root_span(PIPELINE)


@pytest.mark.parametrize("rest", ["00", "01", "01-what-a-later-version-adds"])
def test_a_header_of_w3c_is_read(rest: str) -> None:
    assert parse(f"00-{PIPELINE}-{SPAN}-{rest}") == (PIPELINE, SPAN)


async def test_tasks_are_where_they_were_made() -> None:
    async def where() -> str:
        await asyncio.sleep(0)
        return traceparent(PIPELINE)

    with at(Place(PIPELINE, SPAN)):
        inside = asyncio.create_task(where())
    assert await inside == f"00-{PIPELINE}-{SPAN}-01"


# --- what facts count as --------------------------------------------------------------------------


def fact(said: e.Fact, **changes: Any) -> Envelope:
    made = wrap(said, id="1", pipeline=PIPELINE, source="router", time=clock.now(), causation=None)
    return made.model_copy(update=changes)


def test_a_retry_is_no_repair_and_a_repair_no_retry() -> None:
    def counted() -> tuple[float, float]:
        return counter("repairs", kind="code"), counter("retries", service="generator")

    before = counted()
    metrics.appended(fact(e.GenerationRequested(mode=e.GeneratorMode.FIX)))
    metrics.appended(fact(e.GenerationRequested(mode=e.GeneratorMode.FIX, attempt=2)))
    metrics.appended(fact(e.GenerationRequested(mode=e.GeneratorMode.GENERATE)))
    assert counted() == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("changes", [{"type": "pipeline.of_tomorrow"}, {"imported": True, "type": "anybody.said"}])
def test_what_others_spell_is_no_label(changes: dict[str, Any]) -> None:
    metrics.appended(fact(e.PipelineCancelled(), **changes))
    types = {sample.labels["type"] for sample in metrics.FACTS.collect()[0].samples}
    assert types <= {*e.FACTS, "other", "imported"}


# --- spans ----------------------------------------------------------------------------------------


async def test_a_span_says_where_it_is_and_how_it_ended() -> None:
    nc = Nc()
    spans = recorder(nc)

    def work() -> None:
        with span("work", kind="client", links=[(OTHER, SPAN)]) as begun:
            assert traceparent(PIPELINE) == f"00-{PIPELINE}-{begun.id}-01"
            begun.set({"words": "of a server \ud800"})
            raise ValueError("broken by a secret")

    with at(Place(PIPELINE, SPAN, recorder=spans)):
        with pytest.raises(ValueError, match="broken"):
            work()
        with span("nothing") as nothing:
            nothing.drop()
    await spans.close()
    [seen] = nc.spans
    assert (seen.service, seen.name, seen.kind, seen.trace) == ("tester", "work", "client", PIPELINE)
    assert (seen.parent, seen.links, seen.error) == (SPAN, ((OTHER, SPAN),), "ValueError")
    assert seen.attributes == {"words": "of a server ?", "error.type": "ValueError"}
    assert b"secret" not in nc.sent[0]


async def test_a_span_that_has_ended_is_not_failed_by_what_comes_later() -> None:
    nc = Nc()
    spans = recorder(nc)

    def work() -> None:
        with span("work") as begun:
            begun.end()
            raise RuntimeError

    with at(Place(PIPELINE, SPAN, recorder=spans)), pytest.raises(RuntimeError):
        work()
    await spans.close()
    assert [one.error for one in nc.spans] == [None]


async def test_many_spans_are_sent_in_messages_that_fit() -> None:
    nc = Nc(max_payload=ROOM_BYTES + 8192)
    spans = recorder(nc)
    with at(Place(PIPELINE, SPAN, recorder=spans)):
        for n in range(300):
            with span(f"work {n}"):
                pass
    await spans.close()
    assert [one.name for one in nc.spans] == [f"work {n}" for n in range(300)]
    assert max(map(len, nc.sent)) <= 8192


async def test_a_span_that_fits_nowhere_is_dropped_and_counted() -> None:
    nc, before = Nc(max_payload=ROOM_BYTES + 100), dropped("too_large")
    spans = recorder(nc)
    with at(Place(PIPELINE, SPAN, recorder=spans)), span("work"):
        pass
    await spans.close()
    assert (nc.sent, dropped("too_large")) == ([], before + 1)


async def test_while_the_bus_is_away_spans_wait_up_to_a_bound() -> None:
    nc, before = Nc(is_connected=False), dropped("queue_full")
    spans = recorder(nc)
    with at(Place(PIPELINE, SPAN, recorder=spans)):
        for _ in range(KEPT_SPANS + 3):
            with span("work"):
                pass
    await spans.close()
    assert (nc.sent, dropped("queue_full")) == ([], before + 3)
    nc.is_connected = True
    await spans.close()
    assert len(nc.spans) == KEPT_SPANS


async def test_a_bus_that_takes_no_spans_stops_nobody() -> None:
    nc, before = Nc(trouble=nats.errors.OutboundBufferLimitError()), dropped("bus")
    spans = recorder(nc)
    with at(Place(PIPELINE, SPAN, recorder=spans)), span("work"):
        pass
    await spans.close()
    assert dropped("bus") == before + 1


def test_without_opentelemetry_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "infra.runtime.telemetry.export", None)
    with pytest.raises(Permanent, match=r"pip install 'agentic-connectors\[tracing\]'"):
        recording(BusSettings(tracing=True))
