"""What the real API was seen to answer: evidence that outweighs its document. Nothing in it is secret."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from contracts.base import Frozen

ANSWERS_MEDIA_TYPE = "application/vnd.connectors.answers+json"


class RecordedAnswer(Frozen):
    """One answer of the API, without credentials.

    ``path`` is the URL's, ``query`` its parameters in the order sent. ``headers`` have lower-case names and are
    those about content, paging and rate limits. ``body`` is the decoded JSON.
    """

    method: Literal["GET", "POST"] = "GET"
    path: str
    query: tuple[tuple[str, str], ...] = ()
    status: int = Field(ge=100, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None

    def asked(self, name: str) -> str | None:
        """The value of a query parameter; None where it was not sent."""
        return next((value for key, value in self.query if key == name), None)


class RecordedAnswers(Frozen):
    """In the order in which they were recorded."""

    answers: tuple[RecordedAnswer, ...] = ()
