"""The black-box judge of connectors."""

from services.tester.conformance.bench import Pace, Subject
from services.tester.conformance.binding import endpoints_of, paging_of, parents_of
from services.tester.conformance.kit import conform, specify
from services.tester.conformance.openings import opens_of
from services.tester.conformance.session import VERSION, Judgement, Knowledge, Say

__all__ = [
    "VERSION",
    "Judgement",
    "Knowledge",
    "Pace",
    "Say",
    "Subject",
    "conform",
    "endpoints_of",
    "opens_of",
    "paging_of",
    "parents_of",
    "specify",
]
