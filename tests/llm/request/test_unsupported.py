"""What a request may not reach for: the provider's state, and its priced services."""

from typing import Any

import pytest

from llm.request import unsupported
from valuecanvas.core.errors import InvalidRequest

DATA = "data:video/mp4;base64,AAAA"


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": "hi"}, fields]}


def response_part(**part: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": ["text", part]}]}


def chat_part(**part: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"service_tier": ["priority"]}, "service_tier"),
        ({"tools": [{"type": "function"}, {"type": "mcp"}]}, "tools[1].type"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type"),
        ({"tools": [{"type": ["function"]}]}, "tools[0].type"),
        (item(type="item_reference", id="msg_1"), "input[1]"),
        (item(id="msg_1"), "input[1]"),
        (
            response_part(type="input_file", file_id="f"),
            "input[0].content[1].file_id",
        ),
        (
            response_part(type="input_image", file_id="f"),
            "input[0].content[1].file_id",
        ),
        (
            response_part(type="input_file", file_url="https://x.example/a.pdf"),
            "input[0].content[1].file_url",
        ),
        (item(type="x", output=[{"file_id": "f"}]), "input[1].output[0].file_id"),
        (item(type="x", output={"file_id": "f"}), "input[1].output.file_id"),
    ],
)
def test_check__response_reaches_for_more__is_refused_by_name(
    body: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        unsupported.check("responses", body)
    assert (raised.value.param, raised.value.code) == (param, "unsupported_parameter")
    assert param in raised.value.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"service_tier": "priority"}, "service_tier"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"tools": [{"type": "web_search_preview"}]}, "tools[0].type"),
        ({"messages": [{"audio": {"id": "audio_1"}}]}, "messages[0].audio.id"),
        (
            chat_part(type="file", file={"file_id": "f"}),
            "messages[0].content[0].file.file_id",
        ),
        (
            chat_part(type="video_url", video_url={"url": "https://x.example/v"}),
            "messages[0].content[0].video_url",
        ),
        (
            chat_part(type="video_url", video_url={"href": "https://x.example/v"}),
            "messages[0].content[0].video_url",
        ),
    ],
)
def test_check__chat_reaches_for_more__is_refused_by_name(
    body: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        unsupported.check("chat", body)
    assert raised.value.param == param


SCHEMA = {"properties": {"file_id": {"type": "string"}}}


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat", {"service_tier": "auto", "web_search_options": None}),
        ("chat", {"tools": [{"function": {"name": "f", "parameters": SCHEMA}}]}),
        ("chat", {"tools": "x", "messages": "x"}),
        ("chat", chat_part(type="file", file={"file_data": "AAAA"})),
        ("chat", chat_part(type="video_url", video_url={"url": DATA})),
        ("chat", chat_part(type="image_url", image_url={"url": "https://x.example"})),
        ("chat", {"messages": [{"audio": None, "content": None}]}),
        ("responses", {"previous_response_id": None, "background": False}),
        ("responses", {"input": "hi", "service_tier": "default", "store": False}),
        ("responses", {"tools": [{"type": "custom"}, {"type": "apply_patch"}]}),
        ("responses", item(type="reasoning", id="rs_1", encrypted_content="gAAAA")),
        ("responses", item(type="reasoning", content=[{"text": "x"}])),
        ("responses", item(type="reasoning", id="rs_1", summary=[])),
        ("responses", item(type="function_call_output", output="x")),
        ("responses", response_part(type="input_image", image_url="https://x.example")),
        ("embeddings", {"input": "hi"}),
    ],
)
def test_check__all_that_a_request_needs__is_let_through(
    endpoint: str, body: dict[str, Any]
) -> None:
    unsupported.check(endpoint, body)


def test_check__embeddings_of_another_tier__are_refused() -> None:
    with pytest.raises(InvalidRequest):
        unsupported.check("embeddings", {"service_tier": "priority"})
