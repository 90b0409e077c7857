"""Failure patterns: what a failed test's message means, in words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LOOKED_AT = 4000
"""Characters of a message that are searched: tests may print anything."""


@dataclass(frozen=True)
class Pattern:
    """``question`` decides whose fault it is, where the kit says nothing. ``of_tests``: no connector, however good,
    could pass such a test."""

    words: str
    expression: re.Pattern[str]
    question: str = ""
    of_tests: bool = False


UNKNOWN = Pattern("it fails", re.compile(""))


def _pattern(words: str, expression: str, question: str) -> Pattern:
    return Pattern(words, re.compile(expression, re.IGNORECASE), question)


def _of_tests(words: str, expression: str) -> Pattern:
    return Pattern(words, re.compile(expression, re.IGNORECASE), of_tests=True)


CATALOGUE = (
    _of_tests("it is not valid Python", r"\b(syntax|indentation|tab)error\b"),
    _of_tests("it asks for a fixture that does not exist", r"fixture '[^'\n]{1,200}' not found"),
    _of_tests(
        "it cannot be imported",
        r"collection failure|error collecting|while (importing test module|loading conftest)"
        r"|\b(import|modulenotfound)error\b",
    ),
    _of_tests(
        "the tests did not run to their end",
        r"^(it did not run\b|no test was run|pytest('s result| left no| says| does not)"
        r"|the tests (ended|died|took|needed|broke))",
    ),
    _pattern(
        "it does not end in time",
        r"\btime(d[ -]?)?out\b|timeouterror|timeoutexpired",
        "does the connector ask for ever, or does the test wait for what its server never sends?",
    ),
    _pattern(
        "it asks a server that the tests do not have",
        r"connection ?refused|name or service not known|name resolution|getaddrinfo|network is unreachable",
        "does the test's config name the test's server, and does the connector ask where the config points?",
    ),
    _pattern(
        "it uses what does not exist",
        r"\b(name|attribute)error\b",
        "is the name used by the test only, or by the package itself?",
    ),
    _pattern(
        "it reads a field that is not there",
        r"\b(key|index)error\b",
        "do the test's own answers hold the field where it is read, and does the blueprint know it?",
    ),
    _pattern(
        "it calls something in the wrong way",
        r"\btypeerror\b",
        "which line is the last of the traceback: one of the test, or one of the package?",
    ),
    _pattern(
        "it expects other data than came",
        r"assert [^\n]{1,500}? (==|in|<=|>=) ?['\"\[({\d]",
        "what does the evidence in the blueprint make of the test's own answers: the one side or the other?",
    ),
    _pattern(
        "what it expects does not hold",
        r"\bassert",
        "is what it expects stated by the blueprint or the protocol, or only by the test?",
    ),
)
"""Looked through in this order; the first that fits names the failure."""


def explain(message: str) -> Pattern:
    """The pattern that ``message`` fits, `UNKNOWN` if none."""
    looked_at = message[:MAX_LOOKED_AT]
    return next((pattern for pattern in CATALOGUE if pattern.expression.search(looked_at)), UNKNOWN)


def as_list() -> str:
    """The catalogue as a Markdown list, for the prompt of a model."""
    of_tests = "the test's: no connector could pass it"
    return "\n".join(f"- {one.words}: {of_tests if one.of_tests else one.question}" for one in CATALOGUE)
