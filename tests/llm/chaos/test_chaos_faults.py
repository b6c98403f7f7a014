"""The parameters of faults."""

import pytest

from llm.chaos.faults import (
    PARAMETERS,
    check_parameters,
    fill_parameters,
)
from llm.models.chaos import FaultKind


@pytest.mark.parametrize("fault", [one.value for one in FaultKind])
def test_defaults__of_each_fault__are_right(fault):
    assert check_parameters(fault, {}) == {}
    assert check_parameters(fault, fill_parameters(fault, {})) == {}
    assert set(PARAMETERS) == {one.value for one in FaultKind}


@pytest.mark.parametrize(
    ("fault", "given", "name"),
    [
        ("error", {"status": 401}, "status"),
        ("error", {"status": 429}, "status"),
        ("error", {"status": 530}, "status"),
        ("error", {"status": True}, "status"),
        ("error", {"status": "503"}, "status"),
        ("error", {"statuses": 503}, "statuses"),
        ("rate_limit", {"retry_after_s": 0}, "retry_after_s"),
        ("rate_limit", {"retry_after_s": float("nan")}, "retry_after_s"),
        ("rate_limit", {"retry_after_s": "5"}, "retry_after_s"),
        ("latency", {"delay_ms": -1}, "delay_ms"),
        ("latency", {"delay_ms": True}, "delay_ms"),
        ("latency", {"shape": "pareto"}, "shape"),
        ("latency", {"shape": ["fixed"]}, "shape"),
        ("malformed", {"form": None}, "form"),
        ("cut", {"after": 2_000_000}, "after"),
        ("timeout", {"seconds": 1}, "seconds"),
        ("fire", {}, "fault"),
    ],
)
def test_check__of_a_wrong_value__names_it(fault, given, name):
    assert list(check_parameters(fault, given)) == [name]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524, 529])
def test_check__of_a_providers_own_status__finds_nothing(status):
    assert check_parameters("error", {"status": status}) == {}


def test_message__of_a_number_out_of_bounds__names_the_remedy():
    [message] = check_parameters("latency", {"delay_ms": 10**9}).values()
    assert message == "Delay: enter a whole number from 0 to 300,000."
