"""Hostile schemas and values: whatever they are, a check ends within its steps."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from prompts.rendering.schema import MOST_STEPS, Steps, mismatch, validator

FEW = 3_000
# Calls of functions, Python's and C's, that one step may stand for.
CALLS = 60


def nested(depth: int, key: str = "c") -> dict:
    value: dict = {}
    for _ in range(depth):
        value = {key: value}
    return value


def in_a_list(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def doubling(depth: int) -> dict:
    defs = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(depth)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{depth}": {"type": "integer"}}}


CHILD = {"properties": {"c": {"$ref": "#"}}}
NO = {"enum": ["never"]}
MANY = [1] * 3_000
WORDS = {f"{'a' * 50}{n}": 1 for n in range(500)}
HOSTILE: dict[str, tuple[dict, Any]] = {
    "choices in a tree": ({"anyOf": [{**CHILD, "required": ["x"]}, CHILD]}, nested(18)),
    "one of two in a tree": ({"oneOf": [CHILD, {**CHILD, "minProperties": 9}]}, nested(18)),
    "not of not": ({"not": {"anyOf": [CHILD, CHILD]}}, nested(18)),
    "if in a tree": ({"if": CHILD, "then": CHILD, "else": CHILD}, nested(18)),
    "dependents": ({"dependentSchemas": {"c": CHILD}, **CHILD}, nested(18)),
    "contains": ({"contains": {"$ref": "#"}, "items": {"$ref": "#"}}, in_a_list(30)),
    "references that double": (doubling(20), 1),
    "round in a circle": ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, 1),
    "by name": ({"items": {"$ref": "#a"}, "$defs": {"a": {"$anchor": "a"}, **{f"d{n}": {} for n in range(200)}}}, MANY),
    "schema times value": ({"allOf": [{"items": {}}] * 500}, MANY),
    "a long list of values": ({"items": {"enum": list(range(2_000))}}, MANY),
    "a large constant": ({"items": {"enum": [[list(range(500))] * 2, 1]}}, [[list(range(500))] * 2] * 500),
    "properties of each": ({"items": {"required": [f"p{n}" for n in range(500)]}}, [{}] * 3_000),
    "errors that quote": ({"allOf": [{"maxLength": 1}] * 500}, "x" * 90_000),
    "errors in errors": ({"anyOf": [{"items": {"$ref": "#"}, "minItems": 9}, NO]}, in_a_list(400)),
    "patterns of each": ({"items": {"pattern": "^(a+)+$"}}, ["a" * 900] * 900),
    "patterns of names": ({"patternProperties": {f"(a*)*{n}": {} for n in range(200)}}, WORDS),
    "patterns of others": ({"additionalProperties": False, "patternProperties": {f"(a*)*b{n}": {} for n in range(200)}}, WORDS),
    "a heavy pattern": ({"pattern": r"\w{150}!"}, "é" * 90_000),
    "the same items": ({"allOf": [{"uniqueItems": True}] * 500}, MANY),
}  # fmt: skip


def calls_of(run: Callable[[], object]) -> int:
    """How many functions `run` calls: time without a clock."""
    found = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_mismatch__hostile__ends_with_its_steps(name):
    schema, value = HOSTILE[name]
    told: list[str | None] = []
    steps = Steps(FEW)
    prepared = validator(schema)

    calls = calls_of(lambda: told.append(mismatch(prepared, value, steps)))

    assert steps.left < 0 or told[0] == "It is nested too deeply."
    assert told[0] is not None
    # Reading a long value may cost more than its steps, but once.
    assert calls < CALLS * FEW


def test_mismatch__a_thousand_ordinary_rows__stays_far_below():
    row = {
        "type": "object",
        "required": ["name", "tags"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "pattern": r"^\w[\w ]*$", "maxLength": 80},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        },
    }
    steps = Steps()

    told = mismatch(
        validator({"type": "array", "items": row}),
        [{"name": "Ann", "tags": ["a", "b"]}] * 1_000,
        steps,
    )

    assert told is None
    assert steps.left > MOST_STEPS // 2


def test_mismatch__a_tree_within_its_steps__is_checked():
    tree = {"properties": {"left": {"$ref": "#"}, "n": {"type": "integer"}}}

    assert mismatch(validator(tree), nested(30, "left"), Steps()) is None
    assert "not of type" in str(
        mismatch(validator(tree), {"left": {"n": "1"}}, Steps())
    )


def test_mismatch__what_no_longer_may_be_saved__fits_nothing():
    closed = validator({"unevaluatedProperties": False})
    back = validator({"pattern": r"(a)\1"})
    named = validator({"patternProperties": {"(?=a)": {}}, "additionalProperties": False})  # fmt: skip

    assert "not supported" in str(mismatch(closed, {"a": 1}, Steps()))
    assert "can't be used" in str(mismatch(back, "aa", Steps()))
    assert "can't be used" in str(mismatch(named, {"a": 1}, Steps()))


def test_mismatch__additional_properties__are_told():
    schema = validator({"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False})  # fmt: skip
    typed = validator({"additionalProperties": {"type": "integer"}})

    assert mismatch(schema, {"a": 1, "x1": 2}, Steps()) is None
    assert "'b'" in str(mismatch(schema, {"a": 1, "b": 2}, Steps()))
    assert mismatch(schema, [], Steps()) is None
    assert mismatch(typed, {"a": 1}, Steps()) is None
    assert "not of type" in str(mismatch(typed, {"a": "1"}, Steps()))
