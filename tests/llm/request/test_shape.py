"""Which bodies are requests at all, and what they ask for in numbers."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.metering import prompt_text, tokens
from llm.request import shape as checks
from llm.request.shape import SHAPES
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


@pytest.mark.parametrize("text", ["\ud800", {1, 2}, 2**64])
def test_chat__cannot_be_sent_on__is_refused(text: object) -> None:
    refused("chat", messages=[{"role": "user", "content": text}])


BIG = "word " * 10_000
PICTURE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64," + "A" * 10_000},
}
HIDDEN: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"messages": [{"role": "assistant", "function_call": {"arguments": BIG}}]},
        {"messages": [{"role": "assistant", "reasoning_content": BIG}]},
        {"messages": [{"role": "user", "content": "hi", "name": BIG}]},
        {"messages": [{"role": "user", "content": {"type": "text", "text": BIG}}]},
        {"messages": [USER, {"role": "user", "content": [{**PICTURE, "text": BIG}]}]},
        {"messages": [USER], "prediction": {"type": "content", "content": BIG}},
        {"messages": [USER], "anything": BIG},
    ],
    "responses": [
        {"input": [{"type": "reasoning", "encrypted_content": BIG}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "a": BIG}]}]},
        {"input": [{"type": "item_reference", "id": BIG}]},
        {"input": ["rubbish", BIG]},
    ],
    "embeddings": [
        {"input": "x", "instruction": BIG},
        {"input": [[BIG]]},
        {"input": [{"text": BIG}, 7]},
    ],
}


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [(endpoint, one) for endpoint, many in HIDDEN.items() for one in many],
)
def test_shape__text_anywhere_in_the_body__is_bounded_by_its_bytes(
    endpoint: str, fields: dict[str, Any]
) -> None:
    shape = SHAPES[endpoint]({"model": "m", **fields})
    assert len(BIG) <= shape.prompt_bytes <= shape.prompt_most
    assert shape.prompt_tokens > len(BIG) // 3


def test_chat__text_dense_in_tokens__is_bounded_all_the_same() -> None:
    dense = "a 1 ? " * 100 + "\U00010330\U0001f9ff" * 100
    shape = checks.chat({**GOOD["chat"], "messages": [{**USER, "content": dense}]})
    assert shape.prompt_most >= len(dense.encode())


def test_chat__prediction__may_cost_output() -> None:
    assert checks.chat(GOOD["chat"]).predicted == 0
    shape = checks.chat({**GOOD["chat"], "prediction": {"content": BIG}})
    assert shape.predicted >= len(BIG)


def test_chat__pictures__are_counted_and_not_their_bytes() -> None:
    plain = checks.chat(GOOD["chat"])
    remote = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    text = {"type": "text", "text": 'no "image_url": here'}
    body = {"model": "m", "messages": [{**USER, "content": [PICTURE, remote, text]}]}
    shape = checks.chat(body)
    assert (plain.pictures, shape.pictures) == (0, 2)
    assert shape.prompt_bytes < 400
    assert shape.prompt_tokens > 2 * tokens.PICTURE.usual


@pytest.mark.parametrize("place", ["content", "output"])
def test_responses__pictures__are_counted_and_not_their_bytes(place: str) -> None:
    url = PICTURE["image_url"]["url"]  # type: ignore[index]
    picture = {"type": "input_image", "image_url": url}
    shape = checks.responses({"model": "m", "input": [{place: [picture]}]})
    assert shape.pictures == 1
    assert shape.prompt_bytes < 200


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "data:image/" + BIG},
        {"type": "text", "image_url": {"url": "data:image/" + BIG}},
        {"type": "image_url", "image_url": {"url": "data:text/plain," + BIG}},
        {"type": "image_url", "image_url": "data:image/" + BIG},
        {"type": "image_url", "image_url": {"url": ["data:image/" + BIG]}},
    ],
)
def test_chat__what_only_looks_like_a_picture__is_text(part: dict[str, Any]) -> None:
    shape = checks.chat(
        {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    )
    assert shape.prompt_bytes > len(BIG)


def test_picture__of_a_model_known_for_more__comes_to_more() -> None:
    assert tokens.picture("openai/gpt-4o-mini-2024-07-18").most >= 2_833 + 8 * 5_667
    assert tokens.picture("gpt-4o") is tokens.PICTURE
    assert tokens.PICTURE.most >= 85 + 8 * 170


@pytest.mark.parametrize("given", [None, "", [], 3, {}])
def test_responses__no_input__is_refused(given: object) -> None:
    if given == "":
        assert checks.responses({**GOOD["responses"], "input": ""}).prompt_most < 60
    else:
        assert refused("responses", input=given).param == "input"


def test_responses__cap_and_usage__are_its_own() -> None:
    shape = checks.responses({**GOOD["responses"], "max_output_tokens": 9})
    assert (shape.asked_output, shape.include_usage) == (9, True)


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
    assert shape.token_ids in (0, least)
    assert least <= shape.prompt_most
    assert (shape.stream, shape.asked_output) == (False, None)


def least(endpoint: str, **body: Any) -> int:
    return prompt_text.least_tokens(prompt_text.texts(endpoint, body))


def test_least_tokens__of_a_chat__are_its_words() -> None:
    messages = [
        {"role": "user", "content": "one two"},
        {"role": "user", "content": [{"type": "text", "text": "three four"}, "five"]},
        {"role": "assistant", "tool_calls": [{"function": {"arguments": "six 7"}}, 1]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": "x"}]},
        {"role": "user", "content": [PICTURE]},
    ]
    assert least("chat", messages=messages, metadata={"a": "b c d e"}) == 7
    tools = [{"type": "function", "function": {"description": "a b c"}}]
    assert least("chat", messages=messages, tools=tools) == 7 + 3


def test_least_tokens__of_a_response__are_its_words() -> None:
    assert least("responses", input="one two", instructions="three") == 3
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "one two"}]},
        {"type": "function_call", "arguments": "three four"},
        {"type": "function_call_output", "output": "five"},
    ]
    assert least("responses", input=items) == 5


def test_least_tokens__one_long_word__has_one_for_some_bytes() -> None:
    assert least("embeddings", input="x" * 320) == 10
    assert least("embeddings", input=["one two", [1, 2], "three"]) == 3


BLANKS = "".join(one for one in map(chr, range(0x3100)) if one.isspace())


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from("ax\0é漢😀\ud800" + BLANKS), max_size=40)))
def test_least_tokens__any_texts__are_their_words_or_their_bytes(
    texts: list[str],
) -> None:
    words = [word for text in texts for word in text.split()]
    wanted = max(len(words), sum(map(len, words)) // prompt_text.MOST_BYTES)
    assert prompt_text.least_tokens(texts) == wanted


@pytest.mark.parametrize(
    ("size", "pieces", "count"),
    [(40, 10, 10), (80, 10, 10), (81, 10, 21), (7, 0, 2), (0, 0, 0)],
)
def test_delivered__events__count_as_tokens_unless_too_large(
    size: int, pieces: int, count: int
) -> None:
    assert tokens.estimate_delivered(size, pieces) == count


@pytest.mark.parametrize(("size", "most"), [(0, 0), (1, 1), (3, 2), (300, 110)])
def test_of_bytes__any_size__is_a_third_and_a_tenth_more(size: int, most: int) -> None:
    assert tokens.of_bytes(size) == most
