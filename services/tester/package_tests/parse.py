"""JUnit's XML -> outcomes. Pure. The code under test could have written it, so nothing in it is trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from contracts.reports import Outcome

MAX_BYTES = 32 * 1024 * 1024
MAX_CASES = 20_000
MAX_DEPTH = 16
MAX_MESSAGE = 1_000

_OUTCOMES = {"failure": Outcome.FAILED, "error": Outcome.FAILED, "skipped": Outcome.SKIPPED}
_WORST = (Outcome.FAILED, Outcome.SKIPPED, Outcome.PASSED)


class BadResult(ValueError):
    """This is no result: not XML, too large, or more than a result has to be."""


@dataclass
class Result:
    """How one test ended; ``message`` says why it failed or was skipped."""

    outcome: Outcome = Outcome.PASSED
    message: str = ""


@dataclass
class _Reader:
    results: dict[str, Result] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _id: str = ""
    _one: Result = field(default_factory=Result)
    _text: list[str] = field(default_factory=list)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > MAX_DEPTH:
            raise BadResult(f"elements nest deeper than {MAX_DEPTH}")
        if name == "testcase":
            self._id = test_id(attributes.get("classname", ""), attributes.get("name", ""))
            self._one = Result()
        elif name in _OUTCOMES and self._open[-2:-1] == ["testcase"]:
            self._one.outcome = min(self._one.outcome, _OUTCOMES[name], key=_WORST.index)
            self._one.message = self._one.message or attributes.get("message", "")[:MAX_MESSAGE]
            self._text = []

    def end(self, name: str) -> None:
        self._open.pop()
        if name in _OUTCOMES and not self._one.message:
            self._one.message = "".join(self._text).strip()[-MAX_MESSAGE:]
        if name == "testcase":
            known = self.results.setdefault(self._id, self._one)
            if _WORST.index(self._one.outcome) < _WORST.index(known.outcome):
                self.results[self._id] = self._one
            if len(self.results) > MAX_CASES:
                raise BadResult(f"more than {MAX_CASES} tests")

    def text(self, text: str) -> None:
        if self._open[-1:] and self._open[-1] in _OUTCOMES:
            self._text.append(text)


def parse(content: bytes) -> dict[str, Result]:
    """Outcome by the test's id (``tests/test_read.py::test_x[contacts]``); of several for one test the worst.

    Raises:
        BadResult: the content is not a result. A document type is refused (no entities, no bombs).
    """
    if len(content) > MAX_BYTES:
        raise BadResult(f"{len(content)} bytes; at most {MAX_BYTES}")
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")  # whatever the document says its encoding is
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise BadResult(f"not XML: {error}") from None
    return reader.results


def _refuse(*_: Any) -> None:
    raise BadResult("it declares a document type or an entity")


def test_id(class_name: str, name: str) -> str:
    """The id that pytest shows, of what it writes: ``tests.test_read``, ``test_x[contacts]``. A file that could not
    be collected comes as a test without a class, named after the module."""
    if not class_name:
        return f"{name.replace('.', '/')}.py"
    return f"{class_name.replace('.', '/')}.py::{name}"


test_id.__test__ = False  # type: ignore[attr-defined]
