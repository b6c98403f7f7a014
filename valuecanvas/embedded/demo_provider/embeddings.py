"""POST /v1/embeddings: unit vectors made from a hash of the input."""

import base64
import hashlib
import math
from array import array
from collections.abc import Mapping
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import token_text
from valuecanvas.embedded.demo_provider.chat_request import (
    load_body,
    model_name,
    positive_number,
)
from valuecanvas.embedded.demo_provider.errors import RequestRefused
from valuecanvas.embedded.demo_provider.reply import DemoReply

_USUAL_DIMENSIONS = 384
_MOST_DIMENSIONS = 4096
_CENTRE = 2**31


def answer_embeddings(raw: bytes) -> DemoReply:
    """Reads an embeddings request and answers it. Raises RequestRefused."""
    body = load_body(raw)
    return DemoReply(model_name(body), orjson.dumps(embed(body)))


def embed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to the request in `body`. Raises RequestRefused."""
    inputs = _inputs(body.get("input"))
    size = positive_number(body.get("dimensions"), "dimensions", most=_MOST_DIMENSIONS)
    vectors = [_vector(item, size or _USUAL_DIMENSIONS) for item in inputs]
    encode = _base64 if body.get("encoding_format") == "base64" else array.tolist
    tokens = sum(token_text.count(i) if isinstance(i, str) else len(i) for i in inputs)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(vectors)
        ],
        "model": model_name(body),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(item: str | list[int], size: int) -> "array[float]":
    """The unit vector of one input."""
    seed = hashlib.shake_256(orjson.dumps(item)).digest(4 * size)
    raw = [number - _CENTRE for number in array("I", seed)]
    length = math.hypot(*raw) or 1.0
    return array("f", [number / length for number in raw])


def _base64(vector: "array[float]") -> str:
    return base64.b64encode(vector.tobytes()).decode()


def _inputs(value: Any) -> list[str | list[int]]:
    """The inputs: a text, texts, one list of token ids, or several."""
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return [value]
    inputs = value if isinstance(value, list) else [value]
    if inputs and all(isinstance(item, (str, list)) and item for item in inputs):
        return inputs
    raise RequestRefused("input must be texts or lists of tokens.", param="input")
