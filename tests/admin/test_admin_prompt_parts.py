"""The small parts of the pages of prompts: differences, rules for values, sentences."""

import random
from collections import Counter
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from prompts.admin import diff
from prompts.admin.matching import opcodes
from prompts.admin.rollout import plan_of
from prompts.admin.value_rules import (
    ValueRule,
    parse_value,
    rule_from_schema,
    schema_from_rule,
)
from prompts.admin.words import particulars, sentence, tone
from prompts.models import PromptEvent, PromptVersion, Rollout
from prompts.templatetags.prompt_page import addnumber
from valuecanvas.core.templatetags.figures import percent


def lines(side: diff.Side | None) -> str:
    return "".join(bit.text for bit in side.bits) if side else "-"


def pairs(old: str, new: str) -> list[tuple[str, str, str]]:
    return [
        (row.kind, lines(row.left), lines(row.right)) for row in diff.rows(old, new)
    ]


def test_rows__line_changed_added_and_removed__each_is_told() -> None:
    assert pairs("a\nb\nc", "a\nB\nc\nd") == [
        ("same", "a", "a"),
        ("changed", "b", "B"),
        ("same", "c", "c"),
        ("added", "-", "d"),
    ]
    assert pairs("a\nb", "a") == [("same", "a", "a"), ("removed", "b", "-")]


def test_rows__words_changed__only_those_are_marked() -> None:
    [row] = diff.rows("Give one line.", "Give two lines.")
    assert row.left is not None
    assert [bit.text for bit in row.left.bits if bit.changed] == [" one line"]


def test_rows__long_run_without_a_change__is_folded() -> None:
    same = [f"line {number}" for number in range(20)]
    found = pairs("\n".join(["x", *same, "y"]), "\n".join(["X", *same, "Y"]))
    assert [kind for kind, _, _ in found].count("skip") == 1
    assert [kind for kind, _, _ in found].count("same") == 6


def test_rows__change_at_one_end_only__far_lines_are_folded() -> None:
    same = [f"line {number}" for number in range(9)]
    rows = list(diff.rows("\n".join([*same, "x"]), "\n".join([*same, "y"])))
    assert (rows[0].kind, rows[0].skipped) == ("skip", 6)
    assert rows[-1].right is not None
    assert rows[-1].right.number == 10


def test_rows__nothing_on_a_side__all_added() -> None:
    assert pairs("", "a\nb") == [("added", "-", "a"), ("added", "-", "b")]


def test_rows__last_line_end_added__is_seen() -> None:
    assert pairs("a", "a\n") == [("same", "a", "a"), ("added", "-", "")]


@pytest.mark.parametrize("end", ["", "same\n"])
def test_rows__thousands_of_equal_lines__take_no_minutes(end: str) -> None:
    old = "x\ny\n" * 20_000 + end
    new = "y\nx\n" * 25_000 + end
    # difflib alone would not come back: only both ends are matched.
    kinds = Counter(row.kind for row in diff.rows(old, new))
    assert kinds["changed"] > 39_000


def test_opcodes__random_words__turn_the_one_into_the_other() -> None:
    chance = random.Random(1)
    for _ in range(300):
        old, new = (
            [chance.choice("abc") for _ in range(chance.randrange(9))] for _ in "12"
        )
        made: list[str] = []
        for tag, i1, i2, j1, j2 in opcodes(old, new):
            assert (old[i1:i2] == new[j1:j2]) == (tag == "equal")
            made += old[i1:i2] if tag == "equal" else new[j1:j2]
        assert made == new


def test_sections__too_many_lines__are_cut_and_that_is_said() -> None:
    old, new = version(template="x\n" * 4000), version(template="y\n" * 4000)
    [words] = [one for one in diff.sections(old, new) if one.changed]
    assert len(words.rows) == diff.MOST_ROWS
    assert words.cut


def version(**fields: Any) -> PromptVersion:
    return PromptVersion(number=1, **fields)


def test_sections__chat__each_message_and_the_settings() -> None:
    old = version(messages=[{"role": "system", "content": "Be kind."}])
    new = version(
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": ["parts"]},
        ],
        variables=[
            {"name": "a", "description": "What", "default": 3, "schema": {"enum": [3]}}
        ],
        model="demo",
        parameters={"temperature": 0.1},
    )
    found = {one.title: one for one in diff.sections(old, new)}
    assert [title for title, one in found.items() if one.changed] == [
        "Variables",
        "Model and parameters",
        "Message 2: user",
    ]
    [row] = found["Variables"].rows
    assert lines(row.right) == 'a – What (default: 3) must match {"enum": [3]}'
    settings = [lines(row.right) for row in found["Model and parameters"].rows]
    assert settings == ["model: demo", "temperature: 0.1"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "string", "maxLength": 9},
        {"enum": ["a", "b"]},
        {"enum": ["a,b"]},
        {"enum": [1, 2]},
        {"type": "string"},
        {"type": "string", "maxLength": 9, "minLength": 1},
    ],
)
def test_rule__of_a_schema__means_the_same_schema(schema: dict[str, Any]) -> None:
    assert schema_from_rule(rule_from_schema(schema), "x") == schema


def test_rule__none__anything_goes() -> None:
    assert rule_from_schema(None) == rule_from_schema({}) == ValueRule()
    assert schema_from_rule(ValueRule(), "x") is None


@pytest.mark.parametrize("detail", ["", "x", "0", "-3"])
def test_rule__length_that_is_none__names_the_variable(detail: str) -> None:
    with pytest.raises(ValidationError, match="“name”"):
        schema_from_rule(ValueRule("short", detail), "name")


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("3", {"type": "integer"}, 3),
        ("true", {"type": "boolean"}, True),
        ("[1]", {"type": "array"}, [1]),
        ("x", {"type": "integer"}, "x"),
        ("3", {"type": "string"}, "3"),
        ("3", {"type": ["integer", "null"]}, "3"),
        ("3", None, "3"),
        ("3", {"enum": ["3"]}, "3"),
    ],
)
def test_typed__text__as_the_schema_wants_it(
    text: str, schema: Any, value: object
) -> None:
    assert parse_value(text, schema) == value


@pytest.mark.parametrize(
    ("fields", "said", "stands_out"),
    [
        (
            {"action": "moved", "label": "production", "to_version": 2},
            "put production on version 2",
            "live",
        ),
        (
            {"action": "moved", "label": "x", "from_version": 1, "to_version": 2},
            "moved x from version 1 to 2",
            "quiet",
        ),
        (
            {"action": "rolled_back", "from_version": 3, "to_version": 2},
            "rolled production back from version 3 to 2",
            "alarm",
        ),
        ({"action": "edited"}, "changed the details", "quiet"),
        (
            {"action": "experiment_promoted", "details": {"experiment": "tone"}},
            "made the winner of the experiment tone live",
            "live",
        ),
        ({"action": "rollout_share", "to_version": None}, "changed the share of version –", "quiet"),
    ],
)  # fmt: skip
def test_sentence__event__says_what_was_done(
    fields: dict[str, Any], said: str, stands_out: str
) -> None:
    event = PromptEvent(actor_name="anna", **fields)
    assert sentence(event) == said
    assert tone(event) == stands_out


def test_plan__steps__in_words() -> None:
    steps = [(100, 1), (2500, 90), (5000, 120), (10_000, 2880)]
    rollout = Rollout(
        steps=[{"share": share, "after_minutes": minutes} for share, minutes in steps]
    )
    assert plan_of(rollout) == [
        "1 % after 1 minute",
        "25 % after 90 minutes",
        "50 % after 2 hours",
        "100 % after 2 days",
    ]


def test_filters__numbers__in_words() -> None:
    assert percent(1250) == "12.5\u00a0%"
    assert addnumber("?version=", None) == "?version="


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({}, ""),
        ({"note": "a", "tags": []}, "note: a; tags: –"),
        ({"folder": None, "owner": ["", "ann"]}, "folder: –; owner: – → ann"),
        ({"weights": {"a": 5000, "b": 1250}}, "weights: a 50\u00a0%, b 12.5\u00a0%"),
    ],
)
def test_particulars__details_of_an_event__are_words(
    details: dict[str, object], told: str
) -> None:
    assert particulars(details) == told
