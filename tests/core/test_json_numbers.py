"""Whole numbers come out of JSON as they went in, or are refused."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valuecanvas.core import json_numbers
from valuecanvas.core.errors import InvalidRequest

WHOLE = st.integers(-(2**80), 2**80) | st.sampled_from(
    [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**18, 10**19]
)
VALUE = st.recursive(
    WHOLE | st.text(max_size=25) | st.booleans() | st.floats(allow_nan=False,
    allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def wholes(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [one for inside in value.values() for one in wholes(inside)]
    if isinstance(value, list):
        return [one for inside in value for one in wholes(inside)]
    return [value] if type(value) is int else []


@settings(derandomize=True, max_examples=200, deadline=None)
@given(VALUE)
def test_loads__whatever_was_written__is_read_and_written_as_it_was(value: Any) -> None:
    raw = json.dumps(value).encode()
    found = json_numbers.loads(raw)
    assert found == value
    assert wholes(found) == wholes(value)
    assert json.loads(json_numbers.dumps(found)) == value


@settings(derandomize=True, max_examples=200, deadline=None)
@given(VALUE)
def test_refuse__any_body__is_refused_exactly_if_it_would_be_rounded(
    value: Any,
) -> None:
    raw = json.dumps(value).encode()
    rounded = any(not -(2**63) <= one <= 2**64 - 1 for one in wholes(value))
    assert (json_numbers.over_64_bits(value) is not None) == rounded
    if not rounded:
        json_numbers.refuse_over_64_bits(raw)
        return
    with pytest.raises(InvalidRequest):
        json_numbers.refuse_over_64_bits(raw)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"seed": 2**64}, "seed"),
        ({"a": [{"b": 1}, {"c": -(2**63) - 1}]}, "a[1].c"),
        ({"a": {"1234567890123456789012": "12345678901234567890123"}}, None),
        ({"a": 2**64 - 1, "b": -(2**63), "c": 1e30}, None),
    ],
)
def test_refuse__too_long__names_the_place(value: Any, place: str | None) -> None:
    raw = json.dumps(value).encode()
    if place is None:
        assert orjson.loads(raw) == value
        json_numbers.refuse_over_64_bits(raw)
        return
    with pytest.raises(InvalidRequest, match="Send it as text") as caught:
        json_numbers.refuse_over_64_bits(raw)
    assert caught.value.param == place


def test_refuse__nested_without_end__is_refused_too() -> None:
    raw = b"[" * 5000 + b"1" * 30 + b"]" * 5000
    with pytest.raises(InvalidRequest, match="nested"):
        json_numbers.refuse_over_64_bits(raw)
