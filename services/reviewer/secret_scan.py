"""Finds credentials in files: by the known forms of tokens, and by how random a string looks. Pure.

The patterns follow what the issuers document. A string that stands in the API's own description is an example that
anyone can read there, so it is a low finding only.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from contracts.reports import Finding, Severity

# Every repetition that something must follow is bounded: a hostile file must not make the search quadratic.
_KNOWN: dict[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    "private key": (
        ("-----BEGIN",),
        re.compile(r"-----BEGIN (?:[A-Z]{1,20} )?PRIVATE KEY-----\s*[A-Za-z0-9+/=]{16}"),
    ),
    "AWS access key": (("AKIA", "ASIA"), re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    "Google API key": (("AIza",), re.compile(r"\bAIza[\w-]{35}\b")),
    "Google OAuth secret": (("GOCSPX-",), re.compile(r"\bGOCSPX-[\w-]{28}\b")),
    "GitHub token": (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,})\b"),
    ),
    "GitLab token": (("glpat-",), re.compile(r"\bglpat-[\w-]{20,}")),
    "Slack token": (("xox",), re.compile(r"\bxox[abposr]-[\w-]{20,}")),
    "Stripe key": (
        ("sk_live_", "sk_test_", "rk_live_", "rk_test_"),
        re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}\b"),
    ),
    "Anthropic key": (("sk-ant-",), re.compile(r"\bsk-ant-[\w-]{24,}")),
    "OpenAI key": (("sk-",), re.compile(r"\bsk-(?:proj-)?[A-Za-z0-9]{32,}\b")),
    "SendGrid key": (("SG.",), re.compile(r"\bSG\.[\w-]{16,40}\.[\w-]{16,60}")),
    "Twilio key": (("SK",), re.compile(r"\bSK[0-9a-f]{32}\b")),
    "npm token": (("npm_",), re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    "PyPI token": (("pypi-",), re.compile(r"\bpypi-[\w-]{50,}")),
    "JSON web token": (("eyJ",), re.compile(r"\beyJ[\w-]{10,300}\.eyJ[\w-]{10,2000}\.[\w-]{10,}")),
    "password in a URL": (
        ("://",),
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"{}$]{1,100}:([^\s/:@'\"{}$]{6,200})@"),
    ),
}
"""Kind -> marks of which one must be there (far faster to look for), and the form."""
_CANDIDATE = re.compile(r"(?<![\w+/=-])([A-Za-z0-9+/_=-]{24,200})(?![\w+/=-])")
_ASSIGNED = re.compile(r"""[:=]\s{0,8}["']([^"'\s]{8,200})["']""")
_TELLING_NAME = re.compile(
    r"""(?i)(?:password|passwd|secret|api_?key|access_?token|refresh_?token|auth_?token)["']?\s{0,8}$"""
)
_LETTERS = re.compile(r"[A-Z][a-z]{3,}|[a-z]{4,}|[A-Z]{4,}")
_PRONOUNCEABLE = re.compile(r"(?i)(?=.*[aeiouy])(?!.*[^aeiouy]{4})")
_PLACEHOLDER = re.compile(
    r"(?i)test|example|sample|dummy|fake|wrong|invalid|placeholder|your|changeme|seeded|redacted|x{4}"
)

MIN_ENTROPY_BITS = 4.0
"""Shannon entropy per character from which a string of 24 characters or more counts as random. English words and
identifiers lie below 3.9, base64 of random bytes from 4.3 on (24 characters) up to 6."""

MIN_ENTROPY_BITS_ASSIGNED = 3.3
"""The same for a value whose name says that it is a secret: then less is needed."""

_MAX_PER_FILE = 20
_NAME_CHARS = 40


def secret_findings(path: str, content: bytes, *, public_text: str) -> Iterator[Finding]:
    """The findings of one text file, at most 20; a message never repeats the secret.

    Args:
        public_text: the API's own description; what stands in it is no secret.
    """
    text = content.decode("utf-8", errors="replace")
    seen: set[str] = set()
    for kind, severity, match in _matches(text):
        value = match.group(match.lastindex or 0)
        if any(value in known for known in seen):
            continue
        seen.add(value)
        yield Finding(
            severity=Severity.LOW if value in public_text else severity,
            rule="secret " + ("known-form" if kind in _KNOWN else "high-entropy"),
            message=f"this looks like a {kind} ({len(value)} characters)",
            file=path,
            line=text.count("\n", 0, match.start()) + 1,
        )
        if len(seen) >= _MAX_PER_FILE:
            return


def _matches(text: str) -> Iterator[tuple[str, Severity, re.Match[str]]]:
    """(kind, severity, where) of everything that could be a secret; what is found twice comes twice."""
    for kind, (marks, pattern) in _KNOWN.items():
        if any(mark in text for mark in marks):
            for match in pattern.finditer(text):
                if not _PLACEHOLDER.search(match.group(match.lastindex or 0)):
                    yield kind, Severity.CRITICAL, match
    for match in _ASSIGNED.finditer(text):
        if looks_random(match.group(1), MIN_ENTROPY_BITS_ASSIGNED):
            before = text[max(0, match.start() - _NAME_CHARS) : match.start()]
            if _TELLING_NAME.search(before):
                yield "random token", Severity.MEDIUM, match
    for match in _CANDIDATE.finditer(text):
        if looks_random(match.group(1)):
            yield "random token", Severity.MEDIUM, match


def looks_random(value: str, least_bits: float = MIN_ENTROPY_BITS) -> bool:
    """Whether ``value`` is likelier a generated token than something a person wrote.

    Not random: UUIDs and hexadecimal hashes (ids, checksums), paths, identifiers made of words, placeholders.
    """
    if "/" in value:
        return any(looks_random(segment, least_bits) for segment in value.split("/"))
    parts = re.split("[_-]", value)
    if len(parts) > 2 and all(part.isalpha() or part.isdigit() or not part for part in parts):
        return False
    if len(value) < 20 or _PLACEHOLDER.search(value):
        return False
    classes = [any(map(test, value)) for test in (str.islower, str.isupper, str.isdigit)]
    if not (classes[2] and (classes[0] or classes[1])):
        return False
    if re.fullmatch(r"[0-9a-fA-F-]+|[0-9+-]+[TZ:.0-9+-]*", value):
        return False
    wordy = sum(len(run) for run in _LETTERS.findall(value) if _PRONOUNCEABLE.match(run))
    return wordy < len(value) * 0.6 and entropy_bits(value) >= least_bits


def entropy_bits(value: str) -> float:
    """Shannon entropy in bits per character."""
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values())
