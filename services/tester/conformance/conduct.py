"""Rules that hold for every run: the protocol, the schemas, the secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator

from contracts.reports import Check
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.checks import failed, passed, verdict

RECORDS_VALIDATED = 60


def judge_protocol(bench: Bench, streams: Sequence[str]) -> list[Check]:
    """One check for the connector and one for each stream, over all runs that were not killed."""
    broken: dict[str | None, list[str]] = {}
    for command, problem in bench.problems:
        place = problem.stream if problem.stream in streams else None
        broken.setdefault(place, []).append(f"`{command}`: {problem.text}")
    checks = []
    for place in (None, *streams):
        texts = broken.get(place, [])
        checks.append(verdict(not texts, "protocol", place, "messages", "; ".join(texts[:5])))
    return checks


def judge_schema(stream: dict[str, Any], records: Sequence[dict[str, Any]]) -> Check:
    """The records fit the schema that `discover` gave; some are looked at. CPU work: call it in a thread."""
    name, schema = stream["name"], stream.get("json_schema") or {}
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as wrong:
        return failed(
            "schema", name, "records", f"its json_schema is none: {wrong.message}", suspects=("json_schema",)
        )
    validator: Validator = Draft7Validator(schema)
    step = max(1, len(records) // RECORDS_VALIDATED)
    looked_at = records[::step][: RECORDS_VALIDATED + 1]
    for record in looked_at:
        for error in validator.iter_errors(record):
            place = "/".join(str(key) for key in error.absolute_path)
            message = f"{place or 'the record'}: {error.message[:300]}"
            return failed("schema", name, "records", message, suspects=("json_schema", "selector"))
    return passed("schema", name, "records", f"{len(looked_at)} records")


def judge_secrets(bench: Bench) -> Check:
    """No value of the config that is a secret was written anywhere, in any run."""
    leaks = list(bench.leaks)
    observed = f"{bench.runs} runs, stdout and stderr"
    return verdict(not leaks, "secrets", None, "output", "; ".join(leaks[:5]), observed=observed)


def judge_credentials(run: Run, refused: Run, name: str) -> list[Check]:
    """`check` with credentials that are good, and with some that are not."""
    good, bad = run.transcript, refused.transcript
    return [
        verdict(
            good.status == "SUCCEEDED" and good.exit_code == 0,
            "auth",
            None,
            f"check{name}",
            f"with good credentials `check` answers {good.status or 'nothing'} and {run.ended}: "
            f"{good.status_message or good.complaint}",
            suspects=("auth", "request"),
            observed=_statuses(run),
        ),
        verdict(
            bad.status == "FAILED" and bad.exit_code == 0,
            "auth",
            None,
            f"check-wrong{name}",
            f"with wrong credentials `check` answers {bad.status or 'nothing'} and {refused.ended}; "
            "it has to answer FAILED and exit with 0",
            suspects=("auth", "request"),
            observed=_statuses(refused),
        ),
    ]


def judge_refused_read(run: Run) -> Check:
    """`read` with wrong credentials ends as a failure that is the config's."""
    kinds = {failure.failure_type for failure in run.transcript.failures}
    ok = run.finished and run.transcript.exit_code not in (0, None) and "config_error" in kinds
    said = ", ".join(sorted(str(kind) for kind in kinds)) or "no ERROR trace"
    return verdict(
        ok,
        "auth",
        None,
        "read-wrong",
        f"with wrong credentials `read` {run.ended} and reports {said}; it has to fail with a config_error",
        observed=_statuses(run),
    )


def _statuses(run: Run) -> str:
    answers = [str(seen.status or seen.fault) for seen in run.requests]
    return f"{len(answers)} requests, answered {', '.join(answers[:10])}"
