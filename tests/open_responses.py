"""The Open Responses specification of 2026-04-24, which answers are held to."""

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator


@cache
def _document() -> dict[str, Any]:
    wheel = distribution("openresponses-py")
    path = wheel.locate_file("openresponses/openapi/2026-04-24.json")
    found: dict[str, Any] = orjson.loads(Path(str(path)).read_bytes())
    # The one slip in it: its own source (JsonSchemaResponseFormat.json) has an object
    # or null there, and null alone would deny the schema that was asked for.
    shape = found["components"]["schemas"]["JsonSchemaResponseFormat"]
    shape["properties"]["schema"] = {"type": ["object", "null"]}
    return found


@cache
def _validator(name: str) -> Draft202012Validator:
    ref = {"$ref": f"#/components/schemas/{name}"}
    return Draft202012Validator({**ref, "components": _document()["components"]})


@cache
def _event_schemas() -> dict[str, str]:
    """The name of each event's schema by the event's type."""
    return {
        shape["properties"]["type"]["enum"][0]: name
        for name, shape in _document()["components"]["schemas"].items()
        if name.endswith("StreamingEvent")
    }


def _check(name: str, value: Any) -> None:
    faults = [
        f"{error.json_path}: {error.message[:200]}"
        for error in _validator(name).iter_errors(value)
    ]
    assert not faults, (name, faults)


def check_response(value: Any) -> None:
    """The response object is as specified."""
    _check("ResponseResource", value)


def check_event(value: Any) -> None:
    """The event is one of those specified."""
    assert value["type"] in _event_schemas(), value["type"]
    _check(_event_schemas()[value["type"]], value)


def check_stream(body: bytes, *, done: bool = True) -> list[dict[str, Any]]:
    """All events of a stream as specified, in their order; gives their data.

    `done`: it ends with [DONE], as one does that did not break off.
    """
    blocks = body.decode().removesuffix("\n\n").split("\n\n")
    if done:
        assert "data: [DONE]" in blocks.pop().split("\n")
    events = [_data(block) for block in blocks]
    for event in events:
        check_event(event)
    numbers = [event["sequence_number"] for event in events]
    assert numbers == sorted(set(numbers))
    return events


def _data(block: str) -> dict[str, Any]:
    lines = [line for line in block.split("\n") if not line.startswith(":")]
    name, data = (line.partition(": ") for line in lines)
    assert (name[0], data[0]) == ("event", "data")
    found: dict[str, Any] = orjson.loads(data[2])
    assert found["type"] == name[2]
    return found
