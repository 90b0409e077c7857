"""What is told of a pipeline: one trace, metrics without ids, lines of the log that say whose they are."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.services import AGENTS
from infra.cli.demo import DOCUMENT
from infra.runtime.stack import StackConfig, running_stack
from infra.runtime.telemetry import metrics
from tests.support.claude_server import KEY
from tests.support.collector import SpanSeen, collecting
from tests.support.promql import base, exported, faults, names, queries
from tests.support.watched import CLIENT, COLLECTOR_KEY, NAME, PROMPT, TITLE, Watched, watched, watching

pytestmark = pytest.mark.xdist_group("one walk that is watched")

Series = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, provisioned_store: Path) -> Watched:
    return asyncio.run(watched(tmp_path_factory.mktemp("watched"), provisioned_store))


def series(text: str) -> dict[Series, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def added(seen: Watched, name: str) -> dict[tuple[str, ...], float]:
    """What the first pipeline added to a counter, by its labels' values in the order of their names."""
    before, after = (series(text) for text in seen.scrapes[:2])
    return {
        tuple(value for _, value in sorted(labels)): value - before.get((found, labels), 0)
        for (found, labels), value in after.items()
        if found == name and value != before.get((found, labels), 0)
    }


def named(seen: Watched, name: str) -> list[SpanSeen]:
    return [span for span in seen.spans if span.name == name]


# --- one trace ------------------------------------------------------------------------------------


def test_a_pipeline_is_one_trace_whose_spans_all_have_their_parents(seen: Watched) -> None:
    ids = {span.id for span in seen.spans}
    roots = [span for span in seen.spans if not span.parent]
    assert len(ids) == len(seen.spans)
    assert [root.name for root in roots] == [f"pipeline {NAME}"]
    assert {span.parent for span in seen.spans} - {""} <= ids
    assert {span.service for span in seen.spans} == {*AGENTS, "router", "gateway"}


def test_the_root_covers_everything(seen: Watched) -> None:
    [root] = named(seen, f"pipeline {NAME}")
    assert root.id == seen.pipeline[16:]
    assert root.begin == min(span.begin for span in seen.spans)
    assert root.end == max(span.end for span in seen.spans)
    assert root.attributes["connectors.pipeline.outcome"] == "success"


def test_every_fact_names_a_span_of_the_trace(seen: Watched) -> None:
    ids = {span.id for span in seen.spans}
    for headers, fact in seen.facts:
        version, trace, span, flags = headers["traceparent"].split("-")
        assert (version, trace, flags) == ("00", seen.pipeline, "01"), fact.type
        assert span in ids, fact.type


def test_work_follows_from_the_fact_that_asked_for_it(seen: Watched) -> None:
    by_id = {span.id: span for span in seen.spans}
    [repair] = named(seen, "generator FIX")
    assert by_id[repair.parent].name == "decide generation.requested"
    assert by_id[by_id[repair.parent].parent].name == "test_reviewer"
    [submit] = named(seen, "say pipeline.submitted")
    assert submit.links == (CLIENT,)
    assert [by_id[span.parent].id for span in named(seen, "research")] == [submit.id]


def test_a_failed_attempt_is_an_error_and_the_next_one_is_not(seen: Watched) -> None:
    first, second = sorted(named(seen, "generator GENERATE"), key=lambda span: span.begin)
    assert (first.error, first.attributes["connectors.task.outcome"]) == ("transient", "transient")
    assert (second.error, second.attributes["connectors.task.attempt"]) == (None, 2)
    assert [span.name for span in seen.spans if span.error] == ["generator GENERATE"]


def test_model_calls_follow_the_conventions_and_count_what_the_ledger_does(seen: Watched) -> None:
    chats = named(seen, "chat claude-opus-5")
    used = seen.spent.usage
    assert (len(chats), {span.kind for span in chats}) == (seen.spent.turns, {"client"})
    told = [span.attributes for span in chats]
    assert sum(one["gen_ai.usage.input_tokens"] for one in told) == used.all_input_tokens > 0
    assert sum(one["gen_ai.usage.output_tokens"] for one in told) == used.output_tokens > 0
    assert sum(one["gen_ai.usage.cache_read.input_tokens"] for one in told) == used.cache_read_input_tokens > 0
    assert sum(one["connectors.cost_usd"] for one in told) == pytest.approx(seen.spent.cost_usd)
    names = ("operation.name", "provider.name", "request.model")
    assert {tuple(one[f"gen_ai.{name}"] for name in names) for one in told} == {
        ("chat", "anthropic", "claude-opus-5")
    }
    [tool] = named(seen, "execute_tool write")
    assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    conversations = named(seen, "invoke_agent generator")
    assert {*(span.parent for span in chats), tool.parent} == {min(conversations, key=lambda span: span.begin).id}


def test_no_span_holds_a_prompt_a_document_or_a_key(seen: Watched) -> None:
    sent = b"".join(seen.collector.bodies)
    assert [word for word in (PROMPT, TITLE, KEY, COLLECTOR_KEY) if word.encode() in sent] == []
    assert NAME.encode() in sent, "what is there is found"
    assert {headers["authorization"] for headers in seen.collector.headers} == {f"Bearer {COLLECTOR_KEY}"}


# --- metrics --------------------------------------------------------------------------------------


def test_metrics_count_what_happened(seen: Watched) -> None:
    assert added(seen, "connectors_pipelines_ended_total") == {("success",): 1}
    assert added(seen, "connectors_repairs_total") == {("code",): 1}
    assert added(seen, "connectors_retries_total") == {("generator",): 1}
    assert added(seen, "connectors_verdicts_total") == {
        ("test_reviewer", "VALID_FAIL"): 1,
        ("test_reviewer", "VALID_PASS"): 1,
        ("reviewer", "approved"): 1,
    }
    assert sum(added(seen, "connectors_facts_appended_total").values()) == len(seen.facts)


def test_requests_count_by_the_templates_of_their_routes(seen: Watched) -> None:
    assert added(seen, "connectors_http_requests_total").items() >= {
        (("POST", "/generate", "202"), 1),
        (("GET", "/pipelines/{id}/state", "200"), 1),
        (("GET", "other", "404"), 1),
        (("other", "/pipelines", "405"), 1),
    }


def test_steps_are_timed_by_service_mode_and_outcome(seen: Watched) -> None:
    assert added(seen, "connectors_task_seconds_count") == {
        ("", "done", "research"): 1,
        ("", "done", "fixtures"): 1,
        ("GENERATE", "transient", "generator"): 1,
        ("GENERATE", "done", "generator"): 1,
        ("FIX", "done", "generator"): 1,
        ("GENERATE", "done", "tester"): 1,
        ("RERUN", "done", "tester"): 1,
        ("", "done", "test_reviewer"): 2,
        ("", "done", "reviewer"): 1,
        ("", "done", "publisher"): 1,
    }


def test_tokens_and_money_are_those_of_the_ledger(seen: Watched) -> None:
    used, of = seen.spent.usage, "claude-opus-5"
    kinds = {
        "input": used.input_tokens,
        "output": used.output_tokens,
        "cache_read": used.cache_read_input_tokens,
        "cache_write": used.cache_creation_input_tokens,
    }
    assert added(seen, "connectors_model_tokens_total") == {
        (kind, of, "generator"): tokens for kind, tokens in kinds.items() if tokens
    }
    [cost] = added(seen, "connectors_model_cost_usd_total").values()
    assert cost == pytest.approx(seen.spent.cost_usd)
    assert added(seen, "connectors_model_turns_replayed_total") == {(of, "generator"): 2}, "the second attempt's"


def test_no_label_holds_an_id_or_a_name(seen: Watched) -> None:
    ids = {seen.pipeline, NAME, *(fact.id for _, fact in seen.facts)}
    values = {value for text in seen.scrapes for _, labels in series(text) for _, value in labels}
    assert [value for value in values if any(id in value for id in ids)] == []


def test_another_pipeline_adds_no_series(seen: Watched) -> None:
    once, twice = (series(text).keys() for text in seen.scrapes[1:])
    assert twice - once == set()


# --- dashboard and alerts -------------------------------------------------------------------------


def test_every_expression_asks_for_what_is_exported(seen: Watched) -> None:
    """By name, labels, and the values that a label is compared with."""
    known = exported(seen.scrapes[2])
    assert {where: found for where, query in queries() if (found := faults(query, known))} == {}


def test_every_metric_is_shown_or_left_out_on_purpose(seen: Watched) -> None:
    used = {base(name) for _, query in queries() for name in names(query)}
    assert {base(name) for name in exported(seen.scrapes[2])} - used == {
        "process_virtual_memory_bytes",  # what counts is resident
        "process_start_time_seconds",  # for Prometheus itself
        "process_open_fds",
        "process_max_fds",
    }


def test_every_declared_metric_was_seen_with_its_labels(seen: Watched) -> None:
    declared = {family.name for family in metrics.REGISTRY.collect()}
    assert declared - {base(name) for name in exported(seen.scrapes[2])} == set()


# --- the log --------------------------------------------------------------------------------------


def test_lines_of_the_log_say_whose_they_are(seen: Watched) -> None:
    ended = next(line for line in seen.log if line["message"].startswith(f"pipeline {seen.pipeline} ({NAME})"))
    assert (ended["pipeline"], ended["trace_id"]) == (seen.pipeline, seen.pipeline)
    assert COLLECTOR_KEY not in json.dumps(seen.log)


# --- when nobody listens --------------------------------------------------------------------------


async def test_a_collector_that_is_down_changes_nothing(tmp_path: Path, provisioned_store: Path) -> None:
    async with collecting(status=503) as collector, watching(tmp_path, provisioned_store, collector.url) as watch:
        pipeline = await watch.walk("alone")
        assert (await watch.theatre.state(pipeline)).outcome == "success"
        async with asyncio.timeout(5):
            while len(collector.bodies) < 2:
                await asyncio.sleep(0.05)
    assert collector.bodies[0] == collector.bodies[1], "it was tried again"


@pytest.mark.slow  # a whole pipeline by the real agents: half a minute
@pytest.mark.timeout(300)
async def test_the_real_services_as_processes_tell_one_trace(tmp_path: Path) -> None:
    async with collecting() as collector:
        environment = {"CONNECTORS_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        config = replace(StackConfig.at(tmp_path / "data", tmp_path / "output", port=0), environment=environment)
        async with (
            running_stack(config) as stack,
            httpx2.AsyncClient(base_url=stack.url, trust_env=False) as client,
        ):
            form = {"connector_name": "crm"}
            answer = await client.post("/generate", data=form, files={"document": DOCUMENT.read_bytes()})
            pipeline = answer.json()["pipeline_id"]
            while (await client.get(f"/pipelines/{pipeline}")).json()["status"] == "running":
                await asyncio.sleep(0.5)
            await collector.until(len(AGENTS) + 5)
    ids = {span.id for span in collector.spans}
    assert {span.trace for span in collector.spans} == {pipeline}
    assert {span.service for span in collector.spans} == {*AGENTS, "router", "gateway"}
    assert [span.name for span in collector.spans if span.parent not in ids] == ["pipeline crm"]
