"""Fields that are refused by being there, under whatever spelling."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.request import field_names, routing_fields, unsupported
from llm.request.routing_fields import ROUTING
from valuecanvas.core.errors import InvalidRequest

REFUSED = sorted(ROUTING | field_names.UNPRICED | field_names.CAPS)
EMPTY: list[Any] = [{}, [], False, 0, "", True, {"a": 1}, "x"]
# What SDKs and inference servers have besides OpenAI's fields, and nobody pays for.
HARMLESS = [
    "top_k", "min_p", "repetition_penalty", "thinking", "enable_thinking",
    "chat_template_kwargs", "guided_json", "cache_prompt", "safe_prompt", "usage",
    "documents", "top_a", "logit_bias", "stop", "seed", "ignore_eos", "timeout",
]  # fmt: skip


def refusal(endpoint: str, body: dict[str, Any], **more: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        unsupported.check(endpoint, body, **more)
    assert raised.value.code == "unsupported_parameter"
    return raised.value


@pytest.mark.parametrize("name", REFUSED)
def test_check__refused_field_is_there__is_refused_whatever_it_holds(name: str) -> None:
    for endpoint in ("chat", "responses", "embeddings"):
        for value in EMPTY:
            assert refusal(endpoint, {name: value}).param == name


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "background"])
@pytest.mark.parametrize("value", [{}, [], 0, "", True], ids=repr)
def test_check__kept_state_of_a_response__is_refused_whatever_it_holds(
    name: str, value: Any
) -> None:
    assert refusal("responses", {name: value}).param == name


@pytest.mark.parametrize("value", [{}, [], False, 0, "", "flex", "Auto"], ids=repr)
def test_check__another_service_tier__is_refused(value: Any) -> None:
    assert refusal("chat", {"service_tier": value}).param == "service_tier"


@pytest.mark.parametrize("name", sorted(field_names.KNOWN))
def test_check__field_of_openai_is_null__is_let_through(name: str) -> None:
    for endpoint in ("chat", "responses", "embeddings"):
        unsupported.check(endpoint, {name: None})


@pytest.mark.parametrize("name", [*HARMLESS, "x" * 10_000])
def test_check__unknown_field__is_let_through(name: str) -> None:
    unsupported.check("chat", {name: 1})


SEPARATORS = ["", "_", "-", " ", ".", "__"]


@st.composite
def respelt(draw: st.DrawFn, names: list[str]) -> tuple[str, str]:
    """A name, and the same in other letters or with other separators."""
    name = draw(st.sampled_from(names))
    words = [
        draw(
            st.sampled_from(
                [word, word.upper(), word.title(), word[:-1] + word[-1:].upper()]
            )
        )
        for word in name.split("_")
    ]
    return name, draw(st.sampled_from(SEPARATORS)).join(words)


ALL = sorted(field_names.KNOWN | set(REFUSED))


@given(respelt(ALL), st.sampled_from(["chat", "responses", "embeddings"]))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_check__known_name_in_another_spelling__is_refused(
    names: tuple[str, str], endpoint: str
) -> None:
    name, written = names
    if written == name:
        return
    error = refusal(endpoint, {written: None})
    assert error.param == written


@pytest.mark.parametrize(
    "written",
    ["Service_Tier", "SERVICE_TIER", "serviceTier", "service-tier", "\u017fervice_tier",
     "\uff53ervice_tier"],
)  # fmt: skip
def test_check__service_tier_in_another_spelling__names_the_right_one(
    written: str,
) -> None:
    error = refusal("chat", {written: "priority"})
    assert error.param == written
    assert "'service_tier'" in error.message


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        ("chat", {"tools": [{"Type": "web_search"}]}, "tools[0].Type"),
        ("chat", {"tools": [{"google_search": {}}]}, "tools[0].type"),
        (
            "chat",
            {"messages": [{"role": "user", "Content": "x"}]},
            "messages[0].Content",
        ),
        (
            "chat",
            {"messages": [{"role": "user", "content": [{"type": "file", "File": {}}]}]},
            "messages[0].content[0].File",
        ),
        (
            "chat",
            {"messages": [{"content": [{"file": {"fileId": "f"}}]}]},
            "messages[0].content[0].file.fileId",
        ),
        (
            "chat",
            {"messages": [{"content": {"file": {"file_id": "f"}}}]},
            "messages[0].content.file.file_id",
        ),
        (
            "responses",
            {"input": [{"role": "user", "content": [{"fileID": "f"}]}]},
            "input[0].content[0].fileID",
        ),
        ("responses", {"input": [{"TYPE": "item_reference"}]}, "input[0].TYPE"),
    ],
)
def test_check__name_inside_in_another_spelling__is_refused(
    endpoint: str, body: dict[str, Any], param: str
) -> None:
    assert refusal(endpoint, body).param == param


@pytest.mark.parametrize("tool", [{"function": {"name": "f"}}, {"name": "f"}])
def test_check__function_without_a_type__is_let_through(tool: dict[str, Any]) -> None:
    unsupported.check("chat", {"tools": [tool]})


def test_check__routing_by_an_operator__is_let_through() -> None:
    body = {"provider": {"order": ["a"]}, "transforms": []}
    unsupported.check("chat", body, allowed=frozenset(body))
    assert refusal("chat", body, allowed=frozenset({"provider"})).param == "transforms"


def test_check__priced_service_by_an_operator__is_refused() -> None:
    body: dict[str, Any] = {"web_search_options": {}}
    assert refusal("chat", body, allowed=frozenset(body)).param == "web_search_options"


def test_check__names_without_end__are_not_kept_in_memory() -> None:
    routing_fields._has_routing_word.cache_clear()
    for number in range(5):
        unsupported.check("chat", {f"{'x' * 10_000}{number}": 1})
    assert routing_fields._has_routing_word.cache_info().currsize == 1
    assert refusal("chat", {f"base_url{'x' * 10_000}": 1}).param


def test_check__too_many_fields__is_refused() -> None:
    fields = {f"x{number}": 1 for number in range(201)}
    for body in (fields, {"messages": [fields]}, {"tools": [fields]}):
        with pytest.raises(InvalidRequest) as raised:
            unsupported.check("chat", body)
        assert "at most 200 fields" in raised.value.message
