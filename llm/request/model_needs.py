"""Checks what a request needs of a model beyond text, and whether the model takes it.

A model without such settings takes all: its provider refuses what it cannot do.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm.configuration.model_facts import ModelFacts, RouteFacts
from llm.request.takes import Takes
from llm.request.unsupported import objects_in
from valuecanvas.core.errors import InvalidRequest

# By the type of a part or the name of its member. A video is many pictures.
_PARTS: Mapping[str, Takes] = {
    **dict.fromkeys(
        ("image_url", "input_image", "image", "computer_screenshot", "video_url",
         "input_video", "video"),
        Takes.PICTURES,
    ),
    **dict.fromkeys(("input_audio", "audio_url", "audio"), Takes.SOUND),
    **dict.fromkeys(("file", "input_file", "file_data", "document"), Takes.FILES),
}  # fmt: skip
_MODALITIES = {"audio": Takes.SOUND, "image": Takes.PICTURES}

# What a request needs -> its first place in the body.
Needs = Mapping[str, str]


def needs_of(endpoint: str, body: Mapping[str, Any]) -> Needs:
    """What the request holds or asks for besides text."""
    found: dict[str, str] = {}
    if endpoint == "embeddings":
        return found
    for need, param in (*_answer(endpoint, body), *_content(endpoint, body)):
        found.setdefault(need, param)
    return found


def filter_able_routes(
    model: ModelFacts,
    routes: Sequence[RouteFacts],
    models: Mapping[str, ModelFacts],
    endpoint: str,
    body: Mapping[str, Any],
) -> Sequence[RouteFacts]:
    """The `routes` that take all that the request needs.

    Raises InvalidRequest with the field if there is none.
    """
    takes = [model_takes(model, models.get(route.upstream_model)) for route in routes]
    if not any(takes):
        return routes
    needs = needs_of(endpoint, body)
    found = [
        route
        for route, taken in zip(routes, takes, strict=True)
        if not taken or taken >= needs.keys()
    ]
    if not found:
        raise _refusal(model.name, needs, takes[0])
    return found


def model_takes(model: ModelFacts, upstream: ModelFacts | None) -> frozenset[str]:
    """What a route of `model` takes; empty: unknown.

    The upstream model may be a model here as well: then both must take it.
    """
    if upstream is None or not upstream.takes:
        return model.takes
    return model.takes & upstream.takes if model.takes else upstream.takes


def _refusal(model: str, needs: Needs, takes: frozenset[str]) -> InvalidRequest:
    need = next(one for one in needs if one not in takes)
    return InvalidRequest(
        f"The model '{model}' takes no {Takes(need).label.lower()}: leave out "
        f"'{needs[need]}', or use another model.",
        param=needs[need],
        code="not_taken_by_model",
    )


def _answer(endpoint: str, body: Mapping[str, Any]) -> Iterator[tuple[Takes, str]]:
    """The needs of the answer: tools, a schema, sound or pictures."""
    if param := _tools(body):
        yield Takes.TOOLS, param
    name = "text" if endpoint == "responses" else "response_format"
    form = _object(body.get(name))
    if endpoint == "responses":
        form = _object(form.get("format"))
    if form.get("type") == "json_schema":
        yield Takes.SCHEMA, name
    if body.get("audio"):
        yield Takes.SOUND, "audio"
    for one in _list(body.get("modalities")):
        if isinstance(one, str) and one in _MODALITIES:
            yield _MODALITIES[one], "modalities"


def _tools(body: Mapping[str, Any]) -> str:
    """The field that asks for or allows tool calls; empty: none."""
    for name, listed in (("tool_choice", "tools"), ("function_call", "functions")):
        choice = body.get(name)
        if choice not in (None, "auto", "none"):
            return name
        if body.get(listed) and choice != "none":
            return listed
    return ""


def _content(endpoint: str, body: Mapping[str, Any]) -> Iterator[tuple[Takes, str]]:
    """The needs of what the messages hold."""
    listed = "input" if endpoint == "responses" else "messages"
    for item, param in objects_in(body.get(listed), listed):
        for name in ("content", "output"):
            held = item.get(name)
            where = f"{param}.{name}"
            if isinstance(held, dict):
                yield from _part(held, where)
            for part, place in objects_in(held, where):
                yield from _part(part, place)


def _part(part: Mapping[str, Any], param: str) -> Iterator[tuple[Takes, str]]:
    kind = part.get("type")
    for name in (kind, *part) if isinstance(kind, str) else part:
        if name in _PARTS:
            yield _PARTS[name], param


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
