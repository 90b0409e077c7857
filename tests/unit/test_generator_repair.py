"""Repair without a model: the next alternative of what is suspected, until none is left."""

from __future__ import annotations

from typing import Any

from contracts.blueprint import ApiBlueprint, Binding, Parent, Request, Selector
from contracts.events import GeneratorMode, Verdict
from contracts.reports import Feedback, FeedbackList
from services.generator.repair import repair
from services.generator.work import generate
from tests.support.blueprints import PAGINATIONS, blueprint, decided, stream

ANSWERS: dict[str, Any] = {
    "pagination": decided(PAGINATIONS["none"], PAGINATIONS["page"], PAGINATIONS["cursor"]),
    "selector": decided(Selector(), Selector(path=("items",))),
}


def known(*others: str) -> ApiBlueprint:
    """``things`` has alternatives, the others have none."""
    uncertain = stream("things").model_copy(update=ANSWERS)
    return blueprint(uncertain, *(stream(name) for name in others))


def blame(name: str | None, *suspects: str, verdict: Verdict = Verdict.VALID_FAIL) -> Feedback:
    return Feedback(verdict=verdict, message="records are missing", stream=name, suspects=suspects)


def test_first_suspect_with_an_alternative_moves() -> None:
    made = repair(known(), {}, frozenset(), [blame("things", "primary_key", "selector", "pagination")])
    assert made.choices == {"streams.things.selector": 1}
    assert made.degraded == frozenset()
    assert made.steps == ("things: alternative 1 of selector (0 more)",)


def test_every_combination_is_tried_once_and_then_the_stream_is_degraded() -> None:
    choices: dict[str, int] = {}
    tried = []
    while True:
        made = repair(known("other"), choices, frozenset(), [blame("things", "pagination", "selector")])
        if made.degraded:
            break
        choices = made.choices
        tried.append((choices.get("streams.things.pagination", 0), choices.get("streams.things.selector", 0)))
    assert tried == [(1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert made.degraded == {"things"}
    assert made.steps == ("things: left out, no alternative is left",)


def test_without_suspects_the_usual_ones_are_taken() -> None:
    assert repair(known(), {}, frozenset(), [blame("things")]).choices == {"streams.things.pagination": 1}


def test_invalid_tests_and_other_streams_change_nothing() -> None:
    feedback = [blame("things", "pagination", verdict=Verdict.INVALID), blame("unknown", "pagination")]
    made = repair(known(), {"streams.things.selector": 1}, frozenset(), feedback)
    assert made.choices == {"streams.things.selector": 1}
    assert made.steps[0].startswith("nothing can be changed")


def test_improve_never_degrades() -> None:
    made = repair(known("other"), {}, frozenset(), [blame("other", "pagination")], GeneratorMode.IMPROVE)
    assert made.degraded == frozenset()
    assert made.steps[0].startswith("nothing can be changed")
    unsure = repair(known(), {}, frozenset(), [blame("things")], GeneratorMode.IMPROVE)
    assert unsure.choices == {}, "a stream whose tests pass is not changed at random"


def test_alternative_that_cannot_be_built_is_passed_over() -> None:
    requests = decided(Request(path="/a"), Request(path="/a/{nobody}"), Request(path="/b"))
    uncertain = stream("things").model_copy(update={"request": requests})
    assert repair(blueprint(uncertain), {}, frozenset(), [blame("things", "request")]).choices == {
        "streams.things.request": 2
    }


def test_failure_of_the_whole_connector_moves_what_belongs_to_the_api() -> None:
    auth = decided((), known().auth.value)
    uncertain = known().model_copy(update={"auth": auth})
    made = repair(uncertain, {}, frozenset(), [blame(None, "auth")])
    assert made.choices == {"auth": 1}
    assert repair(uncertain, made.choices, frozenset(), [blame(None, "auth")]).choices == {"auth": 1}


def work(feedback: list[Feedback], choices: dict[str, int], mode: GeneratorMode, *others: str) -> dict[str, Any]:
    items = FeedbackList(items=tuple(feedback)).model_dump_json().encode()
    return generate(known(*others).model_dump_json().encode(), mode.value, choices, (), items)


def test_generate_starts_from_the_best_answers() -> None:
    made = work([blame("things")], {"streams.things.selector": 1}, GeneratorMode.GENERATE)
    assert made["choices"] == {}
    assert made["degraded"] == []


def test_children_of_a_degraded_stream_are_named_too() -> None:
    parent = Parent(stream="other", bindings=(Binding(variable="o", field=("id",)),))
    family = blueprint(
        *(stream(name) for name in ("other", "third")),
        stream("kid", path="/{o}", parent=parent),
    )
    items = FeedbackList(items=(blame("other", "selector"),)).model_dump_json().encode()
    made = generate(family.model_dump_json().encode(), "FIX", {}, (), items)
    assert made["degraded"] == ["kid", "other"]
    assert "kid: left out, its parent other is not in the connector" in made["steps"]


def test_no_stream_left_is_told_instead_of_a_tree() -> None:
    only = blueprint(stream("other")).model_dump_json().encode()
    items = FeedbackList(items=(blame("other"),)).model_dump_json().encode()
    made = generate(only, "FIX", {}, (), items)
    assert made["tree"] == {}
    assert "every stream of small-crm failed" in made["hopeless"]


def test_what_is_left_for_a_model_is_what_no_alternative_mends() -> None:
    both = repair(known("other"), {}, frozenset(), [blame("things"), blame("other")])
    assert both.left == ("other: left out, no alternative is left",)
    assert repair(known(), {}, frozenset(), [blame("things")]).left == ()
    nothing = repair(known(), {}, frozenset(), [blame(None)], GeneratorMode.IMPROVE)
    assert nothing.left == nothing.steps
    assert nothing.left[0].startswith("nothing can be changed")
