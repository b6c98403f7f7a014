"""POST /v1/embeddings: unit vectors made from a hash of the input."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import tokens, usage
from valuecanvas.embedded.demo_provider.behaviours import Behaviour
from valuecanvas.embedded.demo_provider.chat_request import count, load, model_name
from valuecanvas.embedded.demo_provider.errors import RequestRefused
from valuecanvas.embedded.demo_provider.payload import Order, Whole
from valuecanvas.embedded.demo_provider.state import Desk

USUAL_DIMENSIONS = 384
MOST_DIMENSIONS = 4096
_CENTRE = 2**31


def take(raw: bytes, desk: Desk) -> tuple[Order, Behaviour]:
    """Reads an embeddings request and answers it. Raises RequestRefused."""
    body = load(raw)
    model = model_name(body)
    behaviour = desk.behaviour(model)
    inputs = _inputs(body.get("input"))
    size = count(body.get("dimensions"), "dimensions", most=MOST_DIMENSIONS)
    encode = _base64 if body.get("encoding_format") == "base64" else list
    vectors = [vector(item, size or USUAL_DIMENSIONS) for item in inputs]
    prompt = sum(_count(item) for item in inputs)
    answer: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(numbers)}
            for index, numbers in enumerate(vectors)
        ],
        "model": model,
    }
    used = usage.report(prompt, 0, behaviour)
    if used is not None:
        used = {key: used[key] for key in ("prompt_tokens", "total_tokens")}
        answer["usage"] = used
    return Order(model, prompt, Whole(orjson.dumps(answer), 0, used)), behaviour


def vector(item: object, size: int) -> tuple[float, ...]:
    """The unit vector of one input; its numbers fit 32-bit floats exactly."""
    seed = hashlib.shake_256(orjson.dumps(item)).digest(4 * size)
    raw = [number - _CENTRE for number in struct.unpack(f"<{size}I", seed)]
    length = math.sqrt(sum(number * number for number in raw)) or 1.0
    return struct.unpack(f"<{size}f", _packed([number / length for number in raw]))


def _packed(numbers: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def _base64(numbers: Sequence[float]) -> str:
    return base64.b64encode(_packed(numbers)).decode()


def _inputs(value: object) -> list[object]:
    """The inputs: a text, texts, one list of token ids, or several."""
    if isinstance(value, str) and value:
        return [value]
    if not isinstance(value, list) or not value:
        raise RequestRefused("input must not be empty.", param="input")
    if all(type(item) is int for item in value):
        return [value]
    if all(isinstance(item, (str, list)) and item for item in value):
        return value
    raise RequestRefused("input must be texts or lists of tokens.", param="input")


def _count(item: object) -> int:
    if isinstance(item, str):
        return tokens.count(item)
    return len(item) if isinstance(item, list) else 0
