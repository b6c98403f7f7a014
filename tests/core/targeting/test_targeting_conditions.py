"""Conditions: what fits, what is refused, and what could run away."""

import pytest

from tests.targeting_truth import CASES, condition, context
from valuecanvas.core.targeting import patterns
from valuecanvas.core.targeting.conditions import (
    TOO_MANY_STEPS,
    Attributes,
    BadCondition,
    check_conditions,
    compile_conditions,
)
from valuecanvas.core.targeting.semver import parse_version


@pytest.mark.parametrize(("operator", "value", "found", "wanted"), CASES)
def test_operator__values_of_all_types__fits_what_it_should(
    operator, value, found, wanted
):
    [test] = compile_conditions([condition(operator, value)])
    assert test(context(found)) is wanted
    # The same where lists are remembered, twice.
    attributes = Attributes(context(found))
    assert test(attributes) is test(attributes) is wanted


@pytest.mark.parametrize("operator", ["in", "not_in", "equals", "not_contains"])
def test_operator__list_that_would_take_long__fits_nothing(operator):
    value = ["x"] if operator in ("in", "not_in") else "x"
    most = ["x"] + ["y"] * 999 if operator in ("in", "equals") else ["y"] * 1000
    [test] = compile_conditions([condition(operator, value)])
    assert test(context(most))
    assert not test(context([*most, "y"]))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "are a list"),
        ([{}] * 51, "At most 50 conditions; these are 51"),
        (["x"], "has to be an object"),
        ([{"attribute": "a", "operator": "in", "value": [1], "x": 1}], "'x' is not"),
        ([{"operator": "in", "value": [1]}], "'attribute'"),
        ([{"attribute": "", "operator": "in", "value": [1]}], "'attribute'"),
        ([{"attribute": "a", "operator": "like", "value": 1}], "'operator' is one"),
        ([{"attribute": "a", "operator": ["in"], "value": 1}], "'operator' is one"),
        ([{"attribute": "a", "operator": "in", "value": "x"}], "a list"),
        ([{"attribute": "a", "operator": "in", "value": []}], "a list"),
        ([{"attribute": "a", "operator": "in", "value": [[1]]}], "a text, a number"),
        ([{"attribute": "a", "operator": "gt", "value": float("inf")}], "a text, a"),
        ([{"attribute": "a", "operator": "gt", "value": True}], "a number, or"),
        ([{"attribute": "a", "operator": "semver_gt", "value": "new"}], "a version"),
        ([{"attribute": "a", "operator": "exists", "value": 1}], "true or false"),
        ([{"attribute": "a", "operator": "starts_with", "value": ""}], "a text"),
        (
            [{"attribute": "a", "operator": "matches", "value": "(a"}],
            "not valid: missing )",
        ),
    ],
)
def test_conditions__not_understood__says_which_and_why(given, text):
    fault = check_conditions(given)
    assert text in fault
    if isinstance(given, list) and len(given) == 1:
        assert fault.startswith("Condition 1: ")
        with pytest.raises(BadCondition):
            compile_conditions(given)


def test_conditions__fine_ones__no_fault():
    fine = [{"attribute": "a", "operator": "equals", "value": "x"}]
    assert check_conditions(fine) == check_conditions([]) == ""


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("", "", "a"),
        ("abc", "abc", "abcd"),
        ("^a.c$", "abc", "xabc"),
        (r"[a-z0-9_]+@(example|test)\.com", "a_1@test.com", "a@test.com.evil"),
        (r"\d{3}-\d{1,5}", "123-45", "123-"),
        ("[^]x-]*", "abc", "a]"),
        ("(?:a|b)?c", "bc", "abc"),
        (r".*\(x\).*", "f(x)", "fx"),
        ("a{2,}b", "aaab", "ab"),
        (r"[\]\\]+", "]\\", "x"),
        ("(a+)+$", "aaa", "aab"),
        ("(?i)a", "A", "b"),
        # Escapes that were allowed before RE2.
        (r"a\_b\-\/\ \@\:\#\=\!\<\>\&\~\,\;\'\"\%", "a_b-/ @:#=!<>&~,;'\"%", "a"),
        (r"\\_", "\\_", "_"),
    ],
)
def test_pattern__understood__fits_whole_values(text, yes, no):
    pattern = patterns.compile_pattern(text)
    assert pattern.fullmatch(yes)
    assert not pattern.fullmatch(no)


@pytest.mark.parametrize(
    "text",
    [r"(a)\1", "(?=a)b", "a**", "*a", "a)", "(a", "[a", "a{3,2}", "[z-a]", "\\", "a{1001}", r"(\pL|\pN){1,20}", r"\w{1,100}" * 12, "x" * 201],
)  # fmt: skip
def test_pattern__unknown_or_too_large__is_refused(text):
    with pytest.raises(patterns.BadPattern):
        patterns.compile_pattern(text)


@pytest.mark.parametrize("text", [".*.*.*.*=", "(a|aa)*b", "(a+)+b", "(?:a?){50}a{50}b", "(.*)(.*)(.*)(.*)(.*)x"])  # fmt: skip
def test_pattern__that_backtracking_would_stall__ends(text):
    # Python's engine would take longer than the universe for some of these.
    assert not patterns.compile_pattern(text).fullmatch("a" * patterns.MOST_INPUT)


def test_conditions__patterns_too_heavy_together__are_refused():
    heavy = [condition("matches", f"[a-z]{{1,200}}x{n}") for n in range(50)]
    assert check_conditions(heavy[:10]) == ""
    assert check_conditions(heavy) == TOO_MANY_STEPS


@pytest.mark.parametrize(
    "text", [None, 1, "", "1.", "a", "1.2.3.4", "1.2.3-", "-1", "1" * 10]
)
def test_semver__not_a_version__none(text):
    assert parse_version(text) is None


def test_semver__the_specs_own_example__sorts_so():
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]  # fmt: skip
    assert [*map(parse_version, ordered)] == sorted(map(parse_version, ordered))
    assert len({*map(parse_version, ordered)}) == len(ordered)
