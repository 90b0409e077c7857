"""What a published package says of how it was judged: the kit's report, and the API that it was judged by.

``tests/conformance.json`` is a `ConformanceReport`, ``tests/conformance.html`` the same for people,
``tests/simulated_api.json`` a `JudgedApi`: with it anybody can have the connector judged again.
"""

from __future__ import annotations

from collections import Counter

from pydantic import Field

from contracts.base import Frozen, Sha256
from contracts.reports import Check, ConformanceSummary, Isolation, KitRun, Outcome, StreamProof, TestReport
from contracts.simulation import SimulatedApi

CONFORMANCE_JSON = "tests/conformance.json"
CONFORMANCE_PAGE = "tests/conformance.html"
JUDGED_API = "tests/simulated_api.json"


class ConformanceReport(Frozen):
    """The kit's verdict on one connector.

    ``code`` is the hash of the tree that was judged, before a version was stamped into it; ``None`` for an
    executable that is no package of ours. ``api`` is the hash of the simulated API.
    """

    name: str
    kit: KitRun
    code: Sha256 | None = None
    api: Sha256
    isolation: Isolation
    checks: tuple[Check, ...] = ()
    streams: tuple[StreamProof, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(check.outcome is Outcome.FAILED for check in self.checks)

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(check.outcome for check in self.checks)

    @property
    def proven(self) -> int:
        return sum(proof.proven for proof in self.streams)

    def encode(self) -> bytes:
        """As JSON; the same report gives the same bytes."""
        return self.model_dump_json(indent=1).encode() + b"\n"


class JudgedApi(Frozen):
    """The simulated API that a connector was judged by, with what was known of the streams that read it.

    ``endpoints``: stream -> key of its endpoint. ``parents``: stream -> variable of its request -> parent stream.
    ``paging``: stream -> how it pages. ``fields``: path variable -> the config's field that fills it.
    ``opens``: field that may be left out -> the streams that cannot be read without it.
    """

    api: SimulatedApi
    endpoints: dict[str, str] = Field(default_factory=dict)
    parents: dict[str, dict[str, str]] = Field(default_factory=dict)
    paging: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    fields: dict[str, str] = Field(default_factory=dict)
    opens: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def conformance_of(report: TestReport, name: str) -> ConformanceReport:
    """The kit's part of a test report."""
    return ConformanceReport(
        name=name,
        kit=report.kit or KitRun(version=""),
        code=report.code,
        api=report.fixtures,
        isolation=report.isolation,
        checks=report.checks,
        streams=report.streams,
    )


def summary_of(report: TestReport) -> ConformanceSummary:
    """What a review says of it, with the place of the whole."""
    counts = Counter(check.outcome for check in report.checks)
    return ConformanceSummary(
        report=CONFORMANCE_JSON,
        page=CONFORMANCE_PAGE,
        kit=report.kit.version if report.kit else "",
        passed=counts[Outcome.PASSED],
        failed=counts[Outcome.FAILED],
        skipped=counts[Outcome.SKIPPED],
        proven=sum(proof.proven for proof in report.streams),
        streams=len(report.streams),
    )
