"""Repair without a model: where a stream fails, take the blueprint's next-best answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contracts.blueprint import STREAM_OPTIONS, ApiBlueprint, Choices, Stream, option_key
from contracts.events import GeneratorMode, Verdict
from contracts.reports import Feedback
from services.generator.compiler.feasible import left_out

USUAL_SUSPECTS = ("pagination", "selector", "request", "cursor", "primary_key", "parent")
"""Where to look, most likely first, if the feedback does not say."""

_OF_THE_API = ("auth", "base_url", "rate_limit")


@dataclass(frozen=True)
class Repair:
    """``steps`` says in words what was changed, or that nothing could be; ``left`` are those of them that mend
    nothing: a model may know more."""

    choices: dict[str, int]
    degraded: frozenset[str]
    steps: tuple[str, ...]
    left: tuple[str, ...] = ()


def repair(
    blueprint: ApiBlueprint,
    choices: Choices,
    degraded: frozenset[str],
    feedback: Sequence[Feedback],
    mode: GeneratorMode = GeneratorMode.FIX,
) -> Repair:
    """For each stream that the feedback blames, the next alternative of the first suspect that has one left.

    The suspects before it, whose alternatives are used up, go back to their best one: every combination is tried
    once. A stream without any left is degraded by FIX; IMPROVE leaves it, for its tests pass.
    """
    settled = {**choices}
    dropped = set(degraded)
    steps: list[str] = []
    left: list[str] = []
    blamed = _blamed(feedback, mode)
    if None in blamed:
        steps += _advance_api(blueprint, settled, blamed[None])
    for stream in blueprint.streams:
        if stream.name not in blamed or stream.name in dropped:
            continue
        if step := _advance(blueprint, stream, settled, frozenset(dropped), blamed[stream.name]):
            steps.append(step)
        elif mode is GeneratorMode.FIX:
            dropped.add(stream.name)
            left.append(f"{stream.name}: left out, no alternative is left")
    if not steps and not left:
        left.append("nothing can be changed: no alternative is left for what the feedback names")
    return Repair(
        choices={key: rank for key, rank in sorted(settled.items()) if rank},
        degraded=frozenset(dropped),
        steps=(*steps, *left),
        left=tuple(left),
    )


def _blamed(feedback: Sequence[Feedback], mode: GeneratorMode) -> dict[str | None, tuple[str, ...]]:
    """Stream (None: the connector) -> its suspects in the order in which they are named."""
    found: dict[str | None, dict[str, None]] = {}
    for item in feedback:
        if item.verdict is Verdict.VALID_FAIL:
            found.setdefault(item.stream, {}).update(dict.fromkeys(item.suspects))
    usual = USUAL_SUSPECTS if mode is GeneratorMode.FIX else ()
    return {stream: tuple(suspects) or usual for stream, suspects in found.items()}


def _advance(
    blueprint: ApiBlueprint,
    stream: Stream,
    choices: dict[str, int],
    degraded: frozenset[str],
    suspects: Sequence[str],
) -> str | None:
    """Move the stream to its next combination that can be built; None if there is none."""
    options = {field: len(getattr(stream, field).options) for field in suspects if field in STREAM_OPTIONS}
    ranks = {field: min(choices.get(option_key(stream.name, field), 0), options[field] - 1) for field in options}
    for changed, combination in _combinations(ranks, options):
        trial = choices | {option_key(stream.name, field): rank for field, rank in combination.items()}
        if stream.name not in left_out(blueprint, trial, degraded):
            choices.update(trial)
            left = options[changed] - 1 - combination[changed]
            return f"{stream.name}: alternative {combination[changed]} of {changed} ({left} more)"
    return None


def _combinations(ranks: dict[str, int], options: dict[str, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """Count on from ``ranks`` like an odometer whose first wheel turns first; also which wheel was moved."""
    ranks = dict(ranks)
    while True:
        for field in options:
            if ranks[field] + 1 < options[field]:
                ranks[field] += 1
                yield field, dict(ranks)
                break
            ranks[field] = 0
        else:
            return


def _advance_api(blueprint: ApiBlueprint, choices: dict[str, int], suspects: Sequence[str]) -> list[str]:
    """The same for what belongs to the whole API, one step at most."""
    for field in suspects:
        rank = choices.get(field, 0) + 1
        if field in _OF_THE_API and rank < len(getattr(blueprint, field).options):
            choices[field] = rank
            return [f"alternative {rank} of {field}"]
    return []
