"""Whom an experiment is about."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from llm.admin.experiment import condition_text as lines
from prompts.experiments.targeting import (
    MOST_CONDITIONS,
    check,
    load_conditions,
    takes_part,
)
from tests.targeting_truth import CASES, condition, context

CALLER: dict[str, object] = {"tier": "pro", "age": 41, "country": "DE"}


@pytest.mark.parametrize(("operator", "value", "found", "wanted"), CASES)
def test_condition__of_a_caller__holds_as_it_does_for_flags(
    operator: str, value: Any, found: Any, wanted: bool
) -> None:
    rows = [condition(operator, value)]
    check(rows)
    assert takes_part([], load_conditions(rows), context(found)) is wanted


def test_takes_part__tiers_and_conditions__all_must_hold() -> None:
    adult, german, old = load_conditions(
        [
            {"attribute": "age", "operator": "gte", "value": 18},
            {"attribute": "country", "operator": "equals", "value": "DE"},
            {"attribute": "age", "operator": "gt", "value": 90},
        ]
    )
    assert takes_part([], [], {})
    assert takes_part(["pro", "free"], [adult, german], CALLER)
    assert not takes_part(["free"], [adult], CALLER)
    assert not takes_part(["pro"], [adult, old], CALLER)
    assert not takes_part(["pro"], [], {})


def test_loaded__a_condition_that_is_not_understood__holds_for_nobody() -> None:
    rows = [{"attribute": "age", "operator": "like", "value": 1}]
    assert not takes_part([], load_conditions(rows), CALLER)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({}, "are a list"),
        ([[]] * (MOST_CONDITIONS + 1), "At most"),
        (["x"], "Condition 1: it has to be an object"),
        ([{"attribute": "a", "operator": "exists", "extra": 1}], "'extra'"),
        ([{"attribute": "", "operator": "equals", "value": 1}], "'attribute'"),
        ([{"attribute": "a" * 101, "operator": "equals", "value": 1}], "'attribute'"),
        ([{"attribute": "a", "operator": "like", "value": 1}], "'operator'"),
        ([{"attribute": "a", "operator": ["in"], "value": 1}], "'operator'"),
        ([{"attribute": "a", "operator": "in", "value": "x"}], "a list"),
        ([{"attribute": "a", "operator": "in", "value": []}], "a list"),
        ([{"attribute": "a", "operator": "in", "value": [[]]}], "a text, a number"),
        ([{"attribute": "a", "operator": "exists", "value": 1}], "true or false"),
        ([{"attribute": "a", "operator": "gt", "value": True}], "a number"),
        ([{"attribute": "a", "operator": "equals", "value": None}], "a text, a number"),
        ([{"attribute": "a", "operator": "contains", "value": {}}], "a text, a number"),
    ],
)
def test_parse__something_else__is_refused_by_name(rows: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        check(rows)


TEXT = """country in DE, AT
plan equals pro
age gte 18
beta exists
old exists false
zip equals "01067"
flag equals true
name not_equals "a b "
"""


def test_lines__written_and_read__are_the_same() -> None:
    rows = lines.parse_conditions(TEXT)
    assert rows[0] == {"attribute": "country", "operator": "in", "value": ["DE", "AT"]}
    assert [row["value"] for row in rows[2:]] == [
        18,
        True,
        False,
        "01067",
        True,
        "a b ",
    ]
    assert lines.parse_conditions(lines.format_conditions(rows)) == rows
    assert lines.format_conditions([]) == ""


def test_lines__blank_ones__are_passed_over() -> None:
    assert len(lines.parse_conditions("\n\nplan equals pro\n\n")) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("country", "Line 1"),
        ("a equals b\ncountry", "Line 2"),
        ("country near DE", "Condition 1: 'operator'"),
        ("country in", "Condition 1: the value is a list"),
    ],
)
def test_lines__wrong__name_the_line(text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        lines.parse_conditions(text)
