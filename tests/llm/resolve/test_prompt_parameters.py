"""An operator's parameters at each endpoint: its names, its bounds."""

import typing
from typing import Any

import pytest
from openai.types.responses import response_create_params

from llm.dialects.responses import FIELDS
from llm.resolve.prompt_body import (
    Filled,
    PromptWords,
    insert_prompt,
    override_parameters,
)
from llm.resolve.prompt_parameters import LOGPROBS, adapt_parameters
from valuecanvas.core.parameters import RESERVED

SCHEMA = {"type": "object"}
NESTED = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
FLAT = {"type": "json_schema", "name": "x", "schema": SCHEMA}
CHAT_TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
TOOL = {"type": "function", "name": "f", "parameters": SCHEMA}
CHAT_CHOICE = {"type": "function", "function": {"name": "f"}}
CHOICE = {"type": "function", "name": "f"}
# As a chat has it, and as a Response has it.
PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 9}, {"max_output_tokens": 9}),
    ({"response_format": NESTED}, {"text": {"format": FLAT}}),
    (
        {"response_format": {"type": "json_object"}, "verbosity": "low"},
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
    ),
    ({"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
    ({"logprobs": True}, {"include": [LOGPROBS]}),
    ({"tools": [CHAT_TOOL]}, {"tools": [TOOL]}),
    ({"tool_choice": CHAT_CHOICE}, {"tool_choice": CHOICE}),
    ({"tool_choice": "required"}, {"tool_choice": "required"}),
    ({"stop": ["."], "seed": 1, "top_k": 3}, {"stop": ["."], "seed": 1, "top_k": 3}),
]


@pytest.mark.parametrize(("chat", "responses"), PAIRS)
def test_spoken__either_language__is_the_endpoints_own(
    chat: dict[str, Any], responses: dict[str, Any]
) -> None:
    for given in (chat, responses):
        assert adapt_parameters("chat", given) == chat
        assert adapt_parameters("responses", given) == responses


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"max_completion_tokens": 7}, {"max_output_tokens": 7}),
        ({"functions": [{"name": "f"}]}, {"tools": [{"type": "function", "name": "f"}]}),
        ({"function_call": {"name": "f"}}, {"tool_choice": CHOICE}),
        ({"function_call": "auto"}, {"tool_choice": "auto"}),
        ({"n": 3}, {}),
        ({"logprobs": False, "top_logprobs": 2}, {"top_logprobs": 2}),
        ({"tools": [{"type": "web_search"}, 7]}, {"tools": [{"type": "web_search"}, 7]}),
        ({"tool_choice": {"type": "web_search"}}, {"tool_choice": {"type": "web_search"}}),
        # The endpoint's own word beats the other one's.
        (
            {"text": {"verbosity": "low"}, "verbosity": "high"},
            {"text": {"verbosity": "low"}},
        ),
        ({"text": "?", "verbosity": "high"}, {"text": "?"}),
    ],
)  # fmt: skip
def test_spoken__chats_words__have_a_place_in_responses_or_none(
    given: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert adapt_parameters("responses", given) == wanted


def test_spoken__of_responses_alone__is_not_for_a_chat() -> None:
    given = {"truncation": "auto", "include": ["else"], "max_tool_calls": 2, "text": 7}
    assert adapt_parameters("chat", given) == {}


@pytest.mark.parametrize("value", [0, -1, "3", 1.5, True, None])
def test_spoken__numbers_that_are_none__are_left_out(value: object) -> None:
    assert adapt_parameters("chat", {"n": value, "max_tokens": value}) == {}


def test_spoken__too_many_answers__are_as_many_as_may_be(settings: Any) -> None:
    settings.LLM_MAX_N = 4
    assert adapt_parameters("chat", {"n": 40}) == {"n": 4}
    assert adapt_parameters("chat", {"n": 3}) == {"n": 3}


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_spoken__what_is_reserved__is_never_set(endpoint: str) -> None:
    assert adapt_parameters(endpoint, dict.fromkeys(RESERVED, "x")) == {}


def words(**parameters: Any) -> PromptWords:
    return PromptWords([{"role": "user", "content": "Hi"}], parameters, None, False)


def test_filled__both_set_parts_of_an_object__each_part_counts() -> None:
    body = {"text": {"verbosity": "low"}, "include": ["mine"]}
    found = insert_prompt(
        "responses",
        body,
        words(response_format=NESTED, verbosity="high", logprobs=True),
    )
    assert found.body["text"] == {"format": FLAT, "verbosity": "low"}
    assert found.body["include"] == ["mine", LOGPROBS]
    assert found.preset == set()


@pytest.mark.parametrize("own", [{"text": "?"}, {"include": "?"}, {"include": None}])
def test_filled__clients_own_is_no_object__is_left_for_the_checks(
    own: dict[str, Any],
) -> None:
    found = insert_prompt("responses", own, words(verbosity="low", logprobs=True)).body
    name, value = next(iter(own.items()))
    assert found[name] == (value or [LOGPROBS])


def test_filled__clients_own_cap__leaves_none_of_the_versions() -> None:
    found = insert_prompt(
        "chat", {"max_completion_tokens": 5}, words(max_tokens=9, seed=1)
    )
    assert "max_tokens" not in found.body
    assert found.preset == {"seed"}


def test_overruled__a_flags__count_before_all_and_are_told() -> None:
    before = Filled({"max_completion_tokens": 5, "seed": 1}, frozenset({"seed"}))
    found = override_parameters("chat", before, {"max_output_tokens": 3})
    assert found.body == {"max_tokens": 3, "seed": 1}
    assert found.preset == {"seed", "max_tokens"}


def test_fields__of_a_native_response__are_those_of_the_sdk() -> None:
    known = typing.get_type_hints(response_create_params.ResponseCreateParamsBase)
    assert {*known, "stream"} == FIELDS
