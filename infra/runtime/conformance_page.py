"""The conformance kit's report as a page for people: no script, nothing from elsewhere, each text escaped. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from contracts.conformance import ConformanceReport
from contracts.reports import Check, Outcome

_MARKS = {
    Outcome.PASSED: ("ok", "passed"),
    Outcome.FAILED: ("bad", "failed"),
    Outcome.SKIPPED: ("no", "not judged"),
}
_CONNECTOR = "connector"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --bad: #cf222e; --no: #8a8f98; }
@media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --bad: #ff7b72; --no: #8b949e; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
.facts { color: var(--no); margin-top: .25rem; }
.verdict { font-size: 1.1rem; font-weight: 600; padding: .75rem 1rem; border-left: .4rem solid; margin: 1.5rem 0; }
.ok { color: var(--ok); } .bad { color: var(--bad); } .no { color: var(--no); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.words { white-space: normal; } td.ok, td.bad, td.no { font-variant-numeric: tabular-nums; }
thead th { position: sticky; top: 0; background: Canvas; }
details { border-bottom: 1px solid var(--line); } summary { cursor: pointer; padding: .35rem 0; }
code { font-size: .9em; }
"""


def page(report: ConformanceReport) -> bytes:
    """The page as UTF-8. The same report gives the same bytes."""
    kinds = sorted({check.kind for check in report.checks})
    failed = [check for check in report.checks if check.outcome is Outcome.FAILED]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Conformance of {escape(report.name)}</title><style>{_STYLE}</style></head><body>",
        _head(report),
        "<h2>What fails</h2>" + _checks(failed) if failed else "",
        "<h2>Streams</h2>" + _matrix(report, kinds),
        "<h2>Every check</h2>" + _by_stream(report),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part).encode() + b"\n"


def _head(report: ConformanceReport) -> str:
    counts, kit = report.counts, report.kit
    depth = (
        "every stream in depth" if kit.full else "one stream of each shape in depth, every stream for completeness"
    )
    confined = "confined (bubblewrap)" if report.isolation.kind == "bubblewrap" else "not isolated, limits only"
    confined += f" ({escape(report.isolation.note)})" if report.isolation.note else ""
    code = f" &middot; code <code>{report.code[:12]}</code>" if report.code else ""
    facts = (
        f"conformance kit {escape(kit.version or 'unknown')} &middot; {depth} &middot; {kit.runs} runs of the "
        f"connector, {confined} &middot; {kit.duration_s:.0f} s{code} &middot; API <code>{report.api[:12]}</code>"
    )
    verdict = (
        f"{report.proven} of {len(report.streams)} streams proven to be read completely; "
        f"{counts[Outcome.PASSED]} checks passed, {counts[Outcome.FAILED]} failed, {counts[Outcome.SKIPPED]} could "
        "not be judged"
    )
    mark = "ok" if report.ok and report.proven == len(report.streams) else "bad"
    return f'<h1>{escape(report.name)}</h1><p class="facts">{facts}</p><p class="verdict {mark}">{verdict}</p>'


def _matrix(report: ConformanceReport, kinds: Sequence[str]) -> str:
    """A row for each stream, a column for each kind of check: how many of them passed."""
    by_place: dict[tuple[str, str], list[Check]] = {}
    for check in report.checks:
        by_place.setdefault((check.stream or _CONNECTOR, check.kind), []).append(check)
    heads = "".join(f"<th>{escape(kind)}</th>" for kind in kinds)
    rows = []
    for name, mark, words in [
        (_CONNECTOR, "no", "as a whole"),
        *((p.stream, "ok" if p.proven else "bad", "proven" if p.proven else p.reason) for p in report.streams),
    ]:
        cells = "".join(_cell(by_place.get((name, kind), ())) for kind in kinds)
        shown = (
            f'<td class="{mark}" title="{escape(words)}">{escape(words if len(words) < 40 else "not proven")}</td>'
        )
        rows.append(f"<tr><th>{escape(name)}</th>{shown}{cells}</tr>")
    head, body = f"<thead><tr><th></th><th></th>{heads}</tr></thead>", f"<tbody>{''.join(rows)}</tbody>"
    return f'<div class="wide"><table>{head}{body}</table></div>'


def _cell(checks: Iterable[Check]) -> str:
    counts = Counter(check.outcome for check in checks)
    judged = counts[Outcome.PASSED] + counts[Outcome.FAILED]
    if not judged:
        return '<td class="no">&ndash;</td>'
    mark = "bad" if counts[Outcome.FAILED] else "ok"
    return f'<td class="{mark}">{counts[Outcome.PASSED]}/{judged}</td>'


def _by_stream(report: ConformanceReport) -> str:
    names = [None, *(proof.stream for proof in report.streams)]
    groups = ((name or "connector as a whole", [c for c in report.checks if c.stream == name]) for name in names)
    return "".join(
        f"<details><summary>{escape(title)} ({len(checks)})</summary>{_checks(checks)}</details>"
        for title, checks in groups
        if checks
    )


def _checks(checks: Iterable[Check]) -> str:
    rows = []
    for check in checks:
        mark, word = _MARKS[check.outcome]
        words = ". ".join(filter(None, (check.message, check.observed)))
        rows.append(
            f'<tr><td class="{mark}">{word}</td><td><code>{escape(check.id)}</code></td>'
            f'<td class="words">{escape(words)}</td></tr>'
        )
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'
