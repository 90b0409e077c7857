"""Failure patterns: what a failed test's message means, in words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LOOKED_AT = 4000
"""Characters of a message that are searched: tests may print anything."""


@dataclass(frozen=True)
class Pattern:
    """``of_tests``: no connector, however good, could pass such a test."""

    words: str
    expression: re.Pattern[str]
    of_tests: bool = False


UNKNOWN = Pattern("it fails", re.compile(""))


def _pattern(words: str, expression: str, *, of_tests: bool = False) -> Pattern:
    return Pattern(words, re.compile(expression, re.IGNORECASE), of_tests)


CATALOGUE = (
    _pattern("it is not valid Python", r"\b(syntax|indentation|tab)error\b", of_tests=True),
    _pattern("it asks for a fixture that does not exist", r"fixture '[^'\n]{1,200}' not found", of_tests=True),
    _pattern(
        "it cannot be imported",
        r"collection failure|error collecting|while (importing test module|loading conftest)"
        r"|\b(import|modulenotfound)error\b",
        of_tests=True,
    ),
    _pattern(
        "the tests did not run to their end",
        r"^(it did not run\b|no test was run|pytest('s result| left no| says| does not)"
        r"|the tests (ended|died|took|needed|broke))",
        of_tests=True,
    ),
    _pattern("it does not end in time", r"\btime(d[ -]?)?out\b|timeouterror|timeoutexpired"),
    _pattern(
        "it asks a server that the tests do not have",
        r"connection ?refused|name or service not known|name resolution|getaddrinfo|network is unreachable",
    ),
    _pattern("it uses what does not exist", r"\b(name|attribute)error\b"),
    _pattern("it reads a field that is not there", r"\b(key|index)error\b"),
    _pattern("it calls something in the wrong way", r"\btypeerror\b"),
    _pattern("it expects other data than came", r"assert [^\n]{1,500}? (==|in|<=|>=) ?['\"\[({\d]"),
    _pattern("what it expects does not hold", r"\bassert"),
)
"""Looked through in this order; the first that fits names the failure."""


def explain(message: str) -> Pattern:
    """The pattern that ``message`` fits, `UNKNOWN` if none."""
    looked_at = message[:MAX_LOOKED_AT]
    return next((pattern for pattern in CATALOGUE if pattern.expression.search(looked_at)), UNKNOWN)
