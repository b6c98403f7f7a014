"""Conditions: what fits, what is refused, and what could run away."""

import pytest

from flags import patterns
from flags.conditions import BadCondition, check_conditions, compiled
from flags.semver import parsed


def fits(operator, value, found):
    context = {} if found is ... else {"a": found}
    [test] = compiled([{"attribute": "a", "operator": operator, "value": value}])
    return test(context)


@pytest.mark.parametrize(
    ("operator", "value", "yes", "no"),
    [
        ("equals", "x", ["x", ["x", "y"]], ["y", 1, None, ..., ["y"]]),
        ("equals", 1, [1, 1.0], [True, "1"]),
        ("equals", True, [True], [1, "true", False]),
        ("not_equals", "x", ["y", 1, True], ["x", None, ..., {}]),
        ("in", ["x", 2, False], ["x", 2, False, ["q", 2]], ["y", 0, True, {}, []]),
        ("not_in", ["x", 2], ["y", True, ["q"], []], ["x", 2, ["x"], None, ...]),
        ("gt", 2, [3, 2.5], [2, True, "3", None, float("nan")]),
        ("gte", 2, [2], [1]),
        ("lt", 2, [1, -1], [2, False, ...]),
        ("lte", 2, [2], [3]),
        ("gte", "2026-06-01", ["2026-06-01", "2026-11-01"], ["2025-12-31", 2026]),
        ("contains", "ell", ["hello", ["ell"]], ["help", ["hello"], 1, ...]),
        ("contains", 1, ["a1", [1]], [[True], 1]),
        ("not_contains", "ell", ["help", ["hello"]], ["hello", ["ell"], ..., 5]),
        ("starts_with", "he", ["hello"], ["the", 1, ...]),
        ("ends_with", "@x.org", ["a@x.org"], ["a@x.org.evil", None]),
        ("matches", "[a-z]+-[0-9]{2}", ["abc-12"], ["abc-123", "x" * 201, 1, ...]),
        ("semver_gt", "1.2.3", ["1.2.4", "v2", "1.10.0"], ["1.2.3", "1.2.3-rc.1", 2, "x"]),
        ("semver_gte", "1.2.0-rc.2", ["1.2.0-rc.2", "1.2.0-rc.10", "1.2.0"], ["1.2.0-beta", "1.1.9", "1.2.0-rc.1"]),
        ("semver_lt", "2", ["1.9", "2.0.0-a"], ["2.0", "2.0.0+build"]),
        ("semver_lte", "2", ["2.0.0+build"], ["2.0.1"]),
        ("semver_eq", "1.0", ["1.0.0", "v1"], ["1.0.1", 1]),
        ("exists", True, ["x", 0, False], [None, ...]),
        ("exists", False, [None, ...], ["", 0]),
    ],
)  # fmt: skip
def test_operator__values_of_all_types__fits_what_it_should(operator, value, yes, no):
    assert [one for one in yes if not fits(operator, value, one)] == []
    assert [one for one in no if fits(operator, value, one)] == []


@pytest.mark.parametrize("operator", ["in", "not_in", "equals", "not_contains"])
def test_operator__list_that_would_take_long__fits_nothing(operator):
    value = ["x"] if operator in ("in", "not_in") else "x"
    most = ["x"] + ["y"] * 999 if operator in ("in", "equals") else ["y"] * 1000
    assert fits(operator, value, most)
    assert not fits(operator, value, [*most, "y"])


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
        ([{"attribute": "a", "operator": "matches", "value": "(a+)+"}], "repeated"),
    ],
)
def test_conditions__not_understood__says_which_and_why(given, text):
    fault = check_conditions(given)
    assert text in fault
    if isinstance(given, list) and len(given) == 1:
        assert fault.startswith("Condition 1: ")
        with pytest.raises(BadCondition):
            compiled(given)


def test_conditions__fine_ones__no_fault():
    fine = [{"attribute": "a", "operator": "equals", "value": "x"}]
    assert check_conditions(fine) == check_conditions([]) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "^a.c$",
        r"[a-z0-9_]+@(example|test)\.com",
        r"\d{3}-\d{1,5}",
        "[^]x-]*",
        "(?:a|b)?c",
        r".*\(x\).*",
        "a{2,}b",
        r"[\]\\]+",
    ],
)
def test_pattern__in_the_small_language__compiles(text):
    assert patterns.compiled(text).pattern == text


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$",
        "(a|a)*b",
        "(a|aa){3}",
        "(a){2,3}",
        ".*.*.*x",
        "(a|b|ab)" * 12,
        "a?" * 20 + "a" * 20,
        r"(a)\1",
        "(?=a)b",
        "(?i)a",
        "a**",
        "a+?",
        "a*+",
        "*a",
        "^*",
        "a)",
        "(a",
        "[a",
        "[[a]]",
        "a{",
        "a{,3}",
        "a{3,2}",
        "[z-a]",
        "\\",
        r"\b",
        r"[\q]",
        "x" * 201,
    ],
)
def test_pattern__that_could_run_away_or_is_unknown__refused(text):
    with pytest.raises(patterns.BadPattern):
        patterns.compiled(text)


@pytest.mark.parametrize("text", [".*.*", "[a-z]*[a-z]*(x|y)", "a*a*b", "a{0,99}a{0,99}b"])  # fmt: skip
def test_pattern__the_worst_allowed__ends(text):
    assert patterns.compiled(text).fullmatch("a" * patterns.MOST_INPUT + "\n") is None


@pytest.mark.parametrize(
    "text", [None, 1, "", "1.", "a", "1.2.3.4", "1.2.3-", "-1", "1" * 10]
)
def test_semver__not_a_version__none(text):
    assert parsed(text) is None


def test_semver__the_specs_own_example__sorts_so():
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]  # fmt: skip
    assert [*map(parsed, ordered)] == sorted(map(parsed, ordered))
    assert len({*map(parsed, ordered)}) == len(ordered)
