"""Embeddings of the demo provider."""

import base64
import math
from array import array

import pytest


async def embed(demo_server, **fields):
    """The JSON of an embeddings request."""
    async with demo_server.post(
        "embeddings", model="demo-embedding", **fields
    ) as response:
        assert response.status == 200
        return await response.json()


async def test_embeddings__texts__are_unit_vectors_of_their_own(demo_server):
    body = await embed(demo_server, input=["tea", "coffee", "tea"])
    first, second, third = (item["embedding"] for item in body["data"])
    assert [item["index"] for item in body["data"]] == [0, 1, 2]
    assert len(first) == 384
    assert first == third != second
    assert math.isclose(math.hypot(*first), 1, abs_tol=1e-6)
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_embeddings__base64__holds_the_same_floats(demo_server):
    floats = await embed(demo_server, input="tea", dimensions=8)
    packed = await embed(
        demo_server, input="tea", dimensions=8, encoding_format="base64"
    )
    numbers = array("f", base64.b64decode(packed["data"][0]["embedding"]))
    assert numbers.tolist() == floats["data"][0]["embedding"]
    assert len(numbers) == 8


@pytest.mark.parametrize(
    ("given", "vectors", "prompt"),
    [("one two", 1, 2), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3), (["a", [1]], 2, 2)],
)
async def test_embeddings__input_forms__are_counted(
    demo_server, given, vectors, prompt
):
    body = await embed(demo_server, input=given)
    assert len(body["data"]) == vectors
    assert body["usage"]["prompt_tokens"] == prompt


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [1.5]}, "input"),
        ({}, "input"),
        ({"input": "a", "dimensions": 4097}, "dimensions"),
    ],
)
async def test_embeddings__bad_input__is_refused(demo_server, fields, param):
    async with demo_server.post("embeddings", model="demo", **fields) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == param
