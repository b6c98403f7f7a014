"""One table of truth for conditions: what fits, in flags and experiments alike.

A row: operator, value, attributes that fit, attributes that do not; `...` is none.
"""

from typing import Any

Row = tuple[str, Any, list[Any], list[Any]]
TRUTH: list[Row] = [
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
    ("exists", None, ["x", 0, False], [None, ...]),
]  # fmt: skip
CASES = [
    (operator, value, found, wanted)
    for operator, value, yes, no in TRUTH
    for wanted, values in ((True, yes), (False, no))
    for found in values
]


def context(found: object) -> dict[str, object]:
    return {} if found is ... else {"a": found}


def condition(operator: str, value: object) -> dict[str, object]:
    return {"attribute": "a", "operator": operator, "value": value}
