"""The provider's count of tokens: believed only where it can be true."""

from dataclasses import replace
from typing import Any

import pytest

from llm.metering.provider_usage import CREDIBLE, Own, billed_tokens
from llm.types import TokenUse

PROMPT = Own(count=100, most=450, enough=50, least=lambda: 30)
COMPLETION = Own(count=50, most=100, enough=45, least=lambda: 45)


def usage(prompt: Any = 100, completion: Any = 50, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def bill(given: Any) -> TokenUse:
    return billed_tokens(given, PROMPT, COMPLETION)


def test_usage__plausible__is_billed_as_it_is() -> None:
    tokens = bill(usage(110))
    assert (tokens.prompt, tokens.completion, tokens.cached) == (110, 50, 0)
    assert (tokens.source, tokens.marks, tokens.claimed) == ("provider", (), None)


def test_usage__names_of_responses__are_read_too() -> None:
    given = {
        "input_tokens": 90,
        "output_tokens": 48,
        "input_tokens_details": {"cached_tokens": 30},
    }
    tokens = bill(given)
    assert (tokens.prompt, tokens.completion, tokens.cached) == (90, 48, 30)


def test_usage__embeddings__have_no_completion() -> None:
    nothing = Own(0, 0, 0, lambda: 0)
    given = {"prompt_tokens": 100, "total_tokens": 100}
    assert billed_tokens(given, PROMPT, nothing).completion == 0


@pytest.mark.parametrize(
    ("cached", "billed"), [(30, 30), (1000, 100), (-1, 0), ("x", 0), (None, 0)]
)
def test_usage__cached_tokens__are_a_part_of_the_prompt(
    cached: Any, billed: int
) -> None:
    details = {"cached_tokens": cached}
    assert bill(usage(prompt_tokens_details=details)).cached == billed


@pytest.mark.parametrize("details", [[], "x", 7])
def test_usage__details_of_another_form__count_nothing_as_cached(details: Any) -> None:
    assert bill(usage(prompt_tokens_details=details)).cached == 0


@pytest.mark.parametrize("given", [None, [], "x", 3])
def test_usage__none_given__is_estimated(given: Any) -> None:
    tokens = bill(given)
    assert (tokens.source, tokens.marks) == ("gateway", ("estimated",))
    assert (tokens.prompt, tokens.completion) == (100, 50)


@pytest.mark.parametrize(
    "given",
    [
        usage(-1),
        usage("100"),
        usage(1.5),
        usage(True),
        usage(None),
        usage(10**12),
        usage(CREDIBLE + 1),
        usage(1),
        usage(25),
        usage(completion=-1),
        usage(completion="50"),
        usage(completion=None),
        usage(completion=10**12),
        usage(completion=12),
        usage(completion=40),
        {"completion_tokens": 50},
    ],
)
def test_usage__cannot_be_true__bills_our_own_count_and_says_so(given: Any) -> None:
    tokens = bill(given)
    assert (tokens.source, tokens.marks) == ("gateway", ("suspect",))
    assert (tokens.prompt, tokens.completion) == (100, 50)
    assert tokens.claimed is None


def test_usage__larger_than_the_prompt_can_be__is_billed_up_to_what_is_reserved() -> (
    None
):
    tokens = bill(usage(160_000, prompt_tokens_details={"cached_tokens": 9}))
    assert (tokens.prompt, tokens.completion, tokens.cached) == (450, 50, 0)
    assert (tokens.source, tokens.marks) == ("gateway", ("suspect",))
    assert tokens.claimed == (160_000, 50)


def test_usage__larger_than_the_cap__is_billed_up_to_it() -> None:
    tokens = bill(usage(completion=122))
    assert (tokens.prompt, tokens.completion) == (100, 121)
    assert (tokens.marks, tokens.claimed) == (("suspect",), (100, 122))


def test_usage__one_count_is_false__the_other_is_billed_as_it_is() -> None:
    tokens = bill(usage(200, "x", prompt_tokens_details={"cached_tokens": 9}))
    assert (tokens.prompt, tokens.completion, tokens.cached) == (200, 50, 9)
    assert (tokens.source, tokens.marks) == ("gateway", ("suspect",))


def test_usage__low_but_a_closer_look_allows_it__is_believed() -> None:
    assert bill(usage(26)).source == "provider"


def test_usage__hidden_reasoning__is_believed_up_to_the_cap() -> None:
    silent = replace(COMPLETION, count=3, enough=0, least=lambda: 0)
    assert billed_tokens(usage(completion=100), PROMPT, silent).source == "provider"


def test_usage__own_count_past_the_cap__is_bounded_by_it() -> None:
    assert (
        billed_tokens(None, PROMPT, replace(COMPLETION, count=9999)).completion == 121
    )
