"""Which bodies are requests at all, and what they ask for in numbers."""

from typing import Any

import pytest

from llm import checks, tokens
from llm.checks import SHAPES
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.core.parameters import UPSTREAM

USER = {"role": "user", "content": "hi"}
GOOD: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [USER]},
    "responses": {"model": "m", "input": "hi"},
    "embeddings": {"model": "m", "input": "hi"},
}


def refused(endpoint: str, **fields: Any) -> InvalidRequest:
    """The error for the good body with `fields` in place of its own."""
    with pytest.raises(InvalidRequest) as raised:
        SHAPES[endpoint]({**GOOD[endpoint], **fields})
    assert raised.value.status == 400
    return raised.value


@pytest.mark.parametrize("endpoint", GOOD)
@pytest.mark.parametrize("model", [None, "", 3, ["m"]])
def test_shape__no_model__names_the_field(endpoint: str, model: object) -> None:
    assert refused(endpoint, model=model).param == "model"


@pytest.mark.parametrize("endpoint", GOOD)
@pytest.mark.parametrize("name", sorted(UPSTREAM))
def test_shape__field_that_chooses_the_upstream__is_refused(
    endpoint: str, name: str
) -> None:
    assert refused(endpoint, **{name: "x"}).param == name


@pytest.mark.parametrize("messages", [None, [], "hi", {"role": "user"}])
def test_chat__messages_are_no_list_of_some__is_refused(messages: object) -> None:
    assert refused("chat", messages=messages).param == "messages"


def test_chat__too_many_messages__is_refused() -> None:
    many = [USER] * (checks.MOST_MESSAGES + 1)
    assert refused("chat", messages=many).param == "messages"


@pytest.mark.parametrize("message", ["hi", None, {}, {"role": 1}])
def test_chat__message_without_a_role__is_named_by_its_place(message: object) -> None:
    assert refused("chat", messages=[USER, message]).param == "messages[1]"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True])
def test_chat__number_that_is_none__is_refused(name: str, value: object) -> None:
    assert refused("chat", **{name: value}).param == name


def test_chat__more_choices_than_allowed__is_refused(settings: Any) -> None:
    settings.LLM_MAX_N = 3
    assert refused("chat", n=4).param == "n"
    assert checks.chat({**GOOD["chat"], "n": 3}).choices == 3


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_shape__stream_is_no_boolean__is_refused(endpoint: str) -> None:
    assert refused(endpoint, stream="yes").param == "stream"
    assert SHAPES[endpoint]({**GOOD[endpoint], "stream": True}).stream is True
    assert SHAPES[endpoint]({**GOOD[endpoint], "stream": None}).stream is False


def test_chat__stream_options__are_an_object_or_refused() -> None:
    assert refused("chat", stream_options=[]).param == "stream_options"
    shape = checks.chat({**GOOD["chat"], "stream_options": {"include_usage": True}})
    assert shape.include_usage is True
    assert checks.chat({**GOOD["chat"], "stream_options": {}}).include_usage is False


def test_chat__either_name_of_the_cap__is_what_was_asked() -> None:
    assert checks.chat({**GOOD["chat"], "max_tokens": 7}).asked_output == 7
    both = {**GOOD["chat"], "max_tokens": 7, "max_completion_tokens": 9}
    assert checks.chat(both).asked_output == 9
    assert checks.chat(GOOD["chat"]).asked_output is None


def test_chat__tools_and_schema__count_as_prompt() -> None:
    plain = checks.chat(GOOD["chat"])
    tool = {"type": "function", "function": {"name": "x" * 300}}
    with_tool = checks.chat({**GOOD["chat"], "tools": [tool]})
    assert with_tool.prompt_tokens >= plain.prompt_tokens + 100
    assert with_tool.prompt_bytes > plain.prompt_bytes + 300


def test_chat__lone_surrogate__is_counted_and_not_refused() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "\ud800"}]}
    assert checks.chat(body).prompt_bytes == 1


@pytest.mark.parametrize("given", [None, "", [], 3, {}])
def test_responses__no_input__is_refused(given: object) -> None:
    if given == "":
        assert checks.responses({**GOOD["responses"], "input": ""}).prompt_bytes == 0
    else:
        assert refused("responses", input=given).param == "input"


def test_responses__items__are_counted_whatever_their_kind() -> None:
    items = [
        {"role": "user", "content": "x" * 100},
        {"type": "function_call", "arguments": "y" * 50},
        {"type": "function_call_output", "output": "z" * 70},
        "rubbish",
    ]
    shape = checks.responses(
        {"model": "m", "input": items, "max_output_tokens": 9, "instructions": "i" * 30}
    )
    assert shape.prompt_bytes == 100 + 52 + 72 + 32
    assert shape.asked_output == 9
    assert shape.include_usage is True


def test_responses__cap_that_is_no_number__is_refused() -> None:
    assert refused("responses", max_output_tokens="9").param == "max_output_tokens"


@pytest.mark.parametrize("given", [None, [], 3, {"a": 1}])
def test_embeddings__no_input__is_refused(given: object) -> None:
    assert refused("embeddings", input=given).param == "input"


@pytest.mark.parametrize(
    ("given", "least"),
    [("x" * 300, 100), (["x" * 300, "y"], 100), ([[1] * 40, [2]], 41), ([1] * 40, 40)],
)
def test_embeddings__texts_or_tokens__are_bounded_from_above(
    given: object, least: int
) -> None:
    shape = checks.embeddings({"model": "m", "input": given})
    assert least <= shape.prompt_tokens <= 2 * least + 20
    assert (shape.stream, shape.asked_output) == (False, None)


def test_message_sizes__every_kind_of_content__is_counted() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:" + "A" * 10_000}}
    messages = [
        {"role": "user", "content": "abc"},
        {"role": "user", "content": [{"type": "text", "text": "defg"}, picture]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": "zz"}]},
        {"role": "user", "content": ["bare"]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    ]
    size, extra = tokens.message_sizes(messages)
    audio = len('{"type":"input_audio","input_audio":"zz"}')
    assert size == 3 + 4 + audio + len('"bare"') + len('[{"id":"1"}]')
    assert extra == 5 * tokens.MESSAGE_TOKENS + tokens.PICTURE_TOKENS


@pytest.mark.parametrize(
    ("size", "pieces", "count"),
    [(40, 10, 10), (80, 10, 10), (81, 10, 21), (7, 0, 2), (0, 0, 0)],
)
def test_delivered__events__count_as_tokens_unless_too_large(
    size: int, pieces: int, count: int
) -> None:
    assert tokens.delivered(size, pieces) == count


@pytest.mark.parametrize(("size", "most"), [(0, 0), (1, 1), (3, 2), (300, 110)])
def test_of_bytes__any_size__is_a_third_and_a_tenth_more(size: int, most: int) -> None:
    assert tokens.of_bytes(size) == most
