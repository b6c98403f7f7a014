"""What requests need of a model, and which routes take it."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from llm.models import Model
from llm.request import model_needs
from llm.resolve import usable_models
from valuecanvas.core.errors import InvalidRequest

TOOL = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}


def chat(*parts: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    content = list(parts) or "hi"
    messages = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": content},
    ]
    return "chat", {"messages": messages, **fields}


def response(*parts: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "responses", {"input": [{"role": "user", "content": list(parts)}], **fields}


PLACE, INPUT = "messages[1].content[0]", "input[0].content[0]"
NEEDS = [
    (chat(), {}),
    (chat({"type": "text", "text": "x"}), {}),
    (chat(tools=[], functions=None, tool_choice="auto"), {}),
    (chat(tools=[TOOL], tool_choice="none"), {}),
    (chat(response_format={"type": "json_object"}), {}),
    (chat(response_format="x", modalities="x", audio=None), {}),
    (chat(modalities=["text"]), {}),
    (("chat", {"messages": "x", "tool_choice": None}), {}),
    (("embeddings", {"input": ["x"], "tools": [TOOL]}), {}),
    (("responses", {"input": "x", "text": {"format": {"type": "text"}}}), {}),
    (chat({"type": "image_url", "image_url": {"url": "x"}}), {"pictures": PLACE}),
    (chat({"image_url": {"url": "x"}}), {"pictures": PLACE}),
    (chat({"type": "video_url", "video_url": {"url": "data:"}}), {"pictures": PLACE}),
    (chat({"type": "input_audio", "input_audio": {}}), {"sound": PLACE}),
    (chat({"type": "file", "file": {"file_data": "x"}}), {"files": PLACE}),
    (chat({"type": ["image_url"]}), {}),
    (chat(tools=[TOOL]), {"tools": "tools"}),
    (chat(functions=[{"name": "f"}]), {"tools": "functions"}),
    (chat(tools=[TOOL], tool_choice="required"), {"tools": "tool_choice"}),
    (chat(tool_choice="required"), {"tools": "tool_choice"}),
    (chat(tool_choice={"type": "function"}), {"tools": "tool_choice"}),
    (chat(function_call={"name": "f"}), {"tools": "function_call"}),
    (chat(response_format=SCHEMA), {"schema": "response_format"}),
    (chat(modalities=["text", "audio"], audio={"voice": "x"}), {"sound": "audio"}),
    (chat(modalities=["image", 1]), {"pictures": "modalities"}),
    (response({"type": "input_image", "image_url": "x"}), {"pictures": INPUT}),
    (response({"type": "input_file", "file_data": "x"}), {"files": INPUT}),
    (response(text={"format": {"type": "json_schema"}}), {"schema": "text"}),
    (
        ("responses", {"input": [{"type": "x", "output": [{"type": "input_image"}]}]}),
        {"pictures": "input[0].output[0]"},
    ),
    (
        (
            "responses",
            {"input": [{"type": "x", "output": {"type": "computer_screenshot"}}]},
        ),
        {"pictures": "input[0].output"},
    ),
]


@pytest.mark.parametrize(("asked", "wanted"), NEEDS)
def test_of__a_request__names_what_is_more_than_text(
    asked: tuple[str, dict[str, Any]], wanted: dict[str, str]
) -> None:
    assert model_needs.needs_of(*asked) == wanted


def facts(*takes: str) -> Any:
    return SimpleNamespace(name="m", takes=frozenset(takes))


def route(upstream_model: str) -> Any:
    return SimpleNamespace(upstream_model=upstream_model)


A, B = route("a"), route("b")
PICTURE = chat({"type": "image_url"})


@pytest.mark.parametrize(
    ("model", "upstream", "asked", "wanted"),
    [
        # Nobody says anything.
        (facts(), {}, PICTURE, [A, B]),
        (facts(), {"a": facts()}, PICTURE, [A, B]),
        # The model says it for all of its routes.
        (facts("text", "pictures"), {}, PICTURE, [A, B]),
        (facts("text"), {}, PICTURE, []),
        (facts("text"), {}, chat(), [A, B]),
        # An upstream model that is a model here says it for itself.
        (facts(), {"a": facts("text")}, PICTURE, [B]),
        (facts(), {"a": facts("text")}, chat(), [A, B]),
        (facts(), {"a": facts("text"), "b": facts("text", "tools")}, PICTURE, []),
        (facts("text", "pictures"), {"a": facts("text")}, PICTURE, [B]),
        (facts("text"), {"a": facts("text", "pictures")}, PICTURE, []),
    ],
)
def test_able__routes__are_those_on_which_all_is_taken(
    model: Any, upstream: dict[str, Any], asked: Any, wanted: list[Any]
) -> None:
    if wanted:
        assert model_needs.filter_able_routes(model, [A, B], upstream, *asked) == wanted
        return
    with pytest.raises(InvalidRequest) as raised:
        model_needs.filter_able_routes(model, [A, B], upstream, *asked)
    assert (raised.value.param, raised.value.code) == (PLACE, "not_taken_by_model")
    assert "takes no pictures" in raised.value.message


@pytest.mark.parametrize(("takes", "wanted"), [((), True), (("text",), False)])
def test_usable__model_that_an_operator_names__must_take_the_request(
    settings: Any, takes: tuple[str, ...], wanted: bool
) -> None:
    settings.LLM_UNPRICED = "cap"
    model = SimpleNamespace(name="m", kind="chat", enabled=True, takes=frozenset(takes))
    snapshot: Any = SimpleNamespace(models={"m": model}, routes={"m": [A]})
    who: Any = SimpleNamespace(allowed_models=())
    endpoint, body = PICTURE
    found = usable_models.is_usable(
        "m", endpoint, principal=who, snapshot=snapshot, body=body
    )
    assert found is wanted


def test_model_clean__takes_no_text__is_refused() -> None:
    with pytest.raises(ValidationError) as raised:
        Model(name="m", takes=["tools"]).clean()
    assert raised.value.message_dict == {"takes": ["Tick text too, or nothing at all."]}
    Model(name="m", takes=["tools", "text"]).clean()
    Model(name="m").clean()
