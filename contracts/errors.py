"""The errors of the house. Every one says what happened and where; a user may read its text."""

from __future__ import annotations


class ConnectorsError(Exception):
    """Root of all errors raised on purpose.

    ``what`` is one sentence for a user; ``where`` names the place (a JSON pointer, a file, a URL).
    """

    def __init__(self, what: str, *, where: str | None = None) -> None:
        self.what = what
        self.where = where
        super().__init__(f"{what} (at {where})" if where else what)


class Transient(ConnectorsError):
    """The same work may succeed later: the router tries again."""


class BudgetReached(ConnectorsError):
    """The next model turn could cost more than the pipeline may spend: a person is asked, then it is tried anew."""


class Permanent(ConnectorsError):
    """Trying again cannot help: the pipeline ends with this reason."""


class Rejected(Permanent):
    """The input itself is at fault (a document, a name, a URL)."""
