"""The provider's count of tokens: believed only where it can be true."""

from typing import Any

import pytest

from llm.usage import Own, read

OWN = Own(
    prompt_bytes=400, prompt_tokens=150, completion_tokens=50, most_completion=100
)


def usage(prompt: Any = 100, completion: Any = 50, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def test_usage__plausible__is_billed_as_it_is() -> None:
    tokens = read(usage(), OWN)
    assert (tokens.prompt, tokens.completion, tokens.cached) == (100, 50, 0)
    assert (tokens.source, tokens.marks) == ("provider", ())


def test_usage__names_of_responses__are_read_too() -> None:
    given = {
        "input_tokens": 90,
        "output_tokens": 40,
        "input_tokens_details": {"cached_tokens": 30},
    }
    tokens = read(given, OWN)
    assert (tokens.prompt, tokens.completion, tokens.cached) == (90, 40, 30)


def test_usage__embeddings__have_no_completion() -> None:
    own = Own(400, 150, 0, 0)
    assert read({"prompt_tokens": 100, "total_tokens": 100}, own).completion == 0


@pytest.mark.parametrize(
    ("cached", "billed"), [(30, 30), (1000, 100), (-1, 0), ("x", 0), (None, 0)]
)
def test_usage__cached_tokens__are_a_part_of_the_prompt(
    cached: Any, billed: int
) -> None:
    details = {"cached_tokens": cached}
    assert read(usage(prompt_tokens_details=details), OWN).cached == billed


@pytest.mark.parametrize("details", [[], "x", 7])
def test_usage__details_of_another_form__count_nothing_as_cached(details: Any) -> None:
    assert read(usage(prompt_tokens_details=details), OWN).cached == 0


@pytest.mark.parametrize("given", [None, [], "x", 3])
def test_usage__none_given__is_estimated(given: Any) -> None:
    tokens = read(given, OWN)
    assert (tokens.source, tokens.marks) == ("gateway", ("estimated",))
    assert (tokens.prompt, tokens.completion) == (101, 50)


@pytest.mark.parametrize(
    "given",
    [
        usage(-1),
        usage("100"),
        usage(1.5),
        usage(True),
        usage(None),
        usage(10**12),
        usage(1),
        usage(completion=-1),
        usage(completion="50"),
        usage(completion=None),
        usage(completion=10**12),
        usage(completion=122),
        usage(completion=12),
        {"completion_tokens": 50},
    ],
)
def test_usage__cannot_be_true__bills_our_own_count_and_says_so(given: Any) -> None:
    tokens = read(given, OWN)
    assert (tokens.source, tokens.marks) == ("gateway", ("suspect",))
    assert (tokens.prompt, tokens.completion) == (101, 50)


def test_usage__hidden_reasoning__is_believed_up_to_the_cap() -> None:
    own = Own(400, 150, 3, 100)
    assert read(usage(completion=100), own).source == "provider"


def test_usage__own_count_past_the_cap__is_bounded_by_it() -> None:
    assert read(None, Own(0, 0, 9999, 100)).completion == 121
    assert read(None, Own(0, 0, 0, 100)).prompt == 1
