"""The black-box judge of connectors."""

from services.tester.conformance.bench import Pace, Subject
from services.tester.conformance.binding import endpoints_of, parents_of
from services.tester.conformance.kit import Judgement, Knowledge, conform, specify

__all__ = ["Judgement", "Knowledge", "Pace", "Subject", "conform", "endpoints_of", "parents_of", "specify"]
