"""Whom an experiment is about."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from llm.admin.experiment import conditions as lines
from prompts.experiments.targeting import (
    MOST_CONDITIONS,
    OPERATORS,
    Condition,
    holds,
    loaded,
    parse,
    takes_part,
)

CALLER: dict[str, object] = {
    "tier": "pro",
    "user": "ann",
    "age": 41,
    "beta": True,
    "country": "DE",
    "roles": ["editor", "author"],
    "nothing": None,
}


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "wanted"),
    [
        ("country", "equals", "DE", True),
        ("country", "equals", "de", False),
        ("country", "not_equals", "DE", False),
        ("country", "not_equals", "AT", True),
        ("missing", "equals", "DE", False),
        ("missing", "not_equals", "DE", True),
        ("nothing", "not_equals", "DE", True),
        ("country", "in", ["AT", "DE"], True),
        ("country", "in", ["AT"], False),
        ("country", "not_in", ["AT"], True),
        ("country", "not_in", ["DE"], False),
        ("missing", "not_in", ["DE"], True),
        ("missing", "in", ["DE"], False),
        ("age", "gt", 41, False),
        ("age", "gte", 41, True),
        ("age", "lt", 41.5, True),
        ("age", "lte", 40, False),
        ("age", "gt", "40", False),
        ("beta", "gt", 0, False),
        ("country", "lt", "EE", True),
        ("missing", "gt", 0, False),
        ("beta", "equals", True, True),
        ("beta", "equals", 1, False),
        ("age", "equals", 41.0, True),
        ("roles", "contains", "editor", True),
        ("roles", "contains", "owner", False),
        ("country", "contains", "E", True),
        ("country", "contains", 1, False),
        ("age", "contains", 4, False),
        ("missing", "contains", "x", False),
        ("country", "exists", True, True),
        ("country", "exists", False, False),
        ("missing", "exists", True, False),
        ("missing", "exists", False, True),
    ],
)
def test_condition__of_a_caller__holds_or_not(
    attribute: str, operator: str, value: Any, wanted: bool
) -> None:
    assert holds(Condition(attribute, operator, value), CALLER) is wanted


def test_takes_part__tiers_and_conditions__all_must_hold() -> None:
    adult, german = Condition("age", "gte", 18), Condition("country", "equals", "DE")
    assert takes_part([], [], {})
    assert takes_part(["pro", "free"], [adult, german], CALLER)
    assert not takes_part(["free"], [adult], CALLER)
    assert not takes_part(["pro"], [adult, Condition("age", "gt", 90)], CALLER)
    assert not takes_part(["pro"], [], {})


@pytest.mark.parametrize("operator", OPERATORS)
def test_parse__every_operator__is_read_and_loaded_alike(operator: str) -> None:
    value: Any = {"in": ["a"], "not_in": [1], "exists": False}.get(operator, "a")
    rows = [{"attribute": "plan", "operator": operator, "value": value}]
    assert parse(rows) == loaded(rows) == (Condition("plan", operator, value),)


def test_parse__exists_without_a_value__means_that_it_does() -> None:
    assert parse([{"attribute": "beta", "operator": "exists"}])[0].value is True


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({}, "are a list"),
        ([[]] * (MOST_CONDITIONS + 1), "At most"),
        (["x"], "Condition 1: write"),
        ([{"attribute": "a", "operator": "exists", "extra": 1}], "'extra'"),
        ([{"attribute": "", "operator": "equals", "value": 1}], "'attribute'"),
        ([{"attribute": "a" * 101, "operator": "equals", "value": 1}], "'attribute'"),
        ([{"attribute": "a", "operator": "like", "value": 1}], "'operator'"),
        ([{"attribute": "a", "operator": ["in"], "value": 1}], "'operator'"),
        ([{"attribute": "a", "operator": "in", "value": "x"}], "a list"),
        ([{"attribute": "a", "operator": "in", "value": []}], "a list"),
        ([{"attribute": "a", "operator": "in", "value": [[]]}], "a list"),
        ([{"attribute": "a", "operator": "exists", "value": 1}], "true or false"),
        ([{"attribute": "a", "operator": "gt", "value": True}], "a number"),
        ([{"attribute": "a", "operator": "equals", "value": None}], "one value"),
        ([{"attribute": "a", "operator": "contains", "value": {}}], "one value"),
    ],
)
def test_parse__something_else__is_refused_by_name(rows: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        parse(rows)


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
    rows = lines.read(TEXT)
    assert rows[0] == {"attribute": "country", "operator": "in", "value": ["DE", "AT"]}
    assert [row["value"] for row in rows[2:]] == [
        18,
        True,
        False,
        "01067",
        True,
        "a b ",
    ]
    assert lines.read(lines.write(rows)) == rows
    assert lines.write([]) == ""


def test_lines__blank_ones__are_passed_over() -> None:
    assert len(lines.read("\n\nplan equals pro\n\n")) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("country", "Line 1"),
        ("a equals b\ncountry", "Line 2"),
        ("country near DE", "Condition 1: 'operator'"),
        ("country in", "Condition 1: 'in' wants a list"),
    ],
)
def test_lines__wrong__name_the_line(text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        lines.read(text)
