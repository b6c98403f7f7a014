"""Bodies: JSON only, bounded, and nothing in them that the database chokes on."""

import orjson
import pytest
from rest_framework import serializers

from tests.prompts.api.conftest import key_client
from valuecanvas.core.api.bodies import (
    DEPTH_MAX,
    JsonField,
    JsonObjectField,
    StrictSerializer,
)

pytestmark = pytest.mark.django_db
PROMPTS = "/api/prompts"


def post(raw, content_type="application/json"):
    client = key_client("prompts:read", "prompts:write")
    return client.generic("POST", PROMPTS, raw, content_type)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'"text"', "invalid_json"),
        (b'{"key": "\\ud800"}', "invalid_json"),
        (b'{"key": NaN}', "invalid_json"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "invalid_json"),
        (b'{"key": "\\u0000"}', "invalid_request"),
        (b'{"kee": "a"}', "invalid_request"),
        (b'{"key": "a", "tags": "a"}', "invalid_request"),
        (b'{"key": "a", "folder": "../etc"}', "invalid_request"),
    ],
)
def test_body__that_makes_no_sense__is_400(raw, code):
    response = post(raw)
    assert response.status_code == 400, response.content
    assert response.json()["error"]["code"] == code


def test_body__of_another_type__is_415():
    response = post(b"key=a", "application/x-www-form-urlencoded")
    assert response.status_code == 415


def test_body__over_the_limit__is_413(settings):
    settings.PAGE_MAX_BODY_BYTES = 1024
    response = post(orjson.dumps({"key": "a", "description": "x" * 2000}))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


def test_unknown_field__in_a_body__is_named_beside_the_known_ones():
    response = post(b'{"key": "a", "desciption": "x"}')
    error = response.json()["error"]
    assert error["param"] == "desciption"
    assert "description" in error["message"]


def nested(depth):
    value = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"a": [1, 2.5, None, True, "ü"]}, True),
        (nested(DEPTH_MAX), True),
        (nested(DEPTH_MAX + 1), False),
        ({"a": {"b\0": 1}}, False),
        (["a", {"b": "c\0"}], False),
    ],
)
def test_json_field__what_jsonb_does_not_take__is_refused(value, fits):
    class Body(StrictSerializer):
        value = JsonField()

    assert Body(data={"value": value}).is_valid() is fits


def test_json_object_field__anything_else__is_refused():
    class Body(serializers.Serializer):
        value = JsonObjectField()

    assert Body(data={"value": {}}).is_valid()
    assert not Body(data={"value": []}).is_valid()


def test_strict_serializer__no_object_at_all__is_told_so():
    class Body(StrictSerializer):
        value = JsonField()

    body = Body(data=[1])
    assert not body.is_valid()
