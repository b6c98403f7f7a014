"""Numbers keep their type: clients that ask for a float take no integer."""

from typing import Any

import pytest

from flags import services
from flags.models import FlagEvent
from tests.flags.rows import ADA, ask, make_flag
from valuecanvas.core.json_numbers import differ

pytestmark = pytest.mark.django_db


def number(*values: Any) -> Any:
    """A flag that gives its first value."""
    variants = [
        {"name": f"v{n}", "value": value, "weight": 0 if n else 10_000}
        for n, value in enumerate(values)
    ]
    return make_flag(kind="number", variants=variants, enabled=True, percent=100)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([2], "2"),
        ([2.0], "2.0"),
        ([2, 7], "2"),
        ([2, 7.5], "2.0"),
        ([-3, 0.0], "-3.0"),
        ([2.5, 7], "2.5"),
    ],
)
def test_number__of_a_flag__is_of_one_type(values: list[float], told: str) -> None:
    assert repr(ask(number(*values), targetingKey="ada").value) == told


def test_edit__two_to_two_point_zero__is_a_change() -> None:
    flag = number(2)
    variants = [{"name": "v0", "value": 2.0, "weight": 10_000}]
    services.edit_flag(flag, {"variants": variants}, actor=ADA)
    assert repr(ask(flag, targetingKey="ada").value) == "2.0"
    assert FlagEvent.objects.filter(flag=flag).count() == 2


def test_edit__one_to_true_inside_an_object__is_a_change() -> None:
    variants = [{"name": "v0", "value": {"on": 1}, "weight": 10_000}]
    flag = make_flag(kind="object", variants=variants, enabled=True, percent=100)
    variants = [{"name": "v0", "value": {"on": True}, "weight": 10_000}]
    services.edit_flag(flag, {"variants": variants}, actor=ADA)
    assert ask(flag, targetingKey="ada").value == {"on": True}
    assert ask(flag, targetingKey="ada").value["on"] is True


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (2, 2.0, True),
        (1, True, True),
        (0, False, True),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1, 2], [1, 2], False),
        (None, 0, True),
    ],
)
def test_differ__two_values__are_compared_as_json(
    one: Any, other: Any, wanted: bool
) -> None:
    assert differ(one, other) is wanted
