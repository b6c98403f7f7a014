"""Values made to fit a JSON Schema, judged by the jsonschema package."""

import jsonschema
import pytest

from valuecanvas.embedded.demo_provider.answer_schema import example, plain

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
            },
            "required": ["name", "left", "tags"],
            "additionalProperties": False,
        },
        "tag": {"type": "string", "enum": ["red", "blue"]},
    },
    "$ref": "#/$defs/node",
}
SCHEMAS = [
    {},
    {"type": "string"},
    {"type": "string", "minLength": 30},
    {"type": "string", "maxLength": 3},
    *({"type": "string", "format": f} for f in ("date", "date-time", "email", "uuid")),
    {"type": "integer"},
    {"type": "integer", "minimum": 5, "maximum": 5},
    {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2},
    {"type": "integer", "maximum": -4},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "exclusiveMaximum": 0},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"const": 42},
    {"enum": ["x", "y"]},
    {"type": "string", "default": "d"},
    {"type": "string", "examples": ["e"]},
    {"type": "array", "items": {"type": "integer"}},
    {"type": "array", "items": {"type": "string"}, "minItems": 3},
    {"type": "array", "items": {"type": "string"}, "maxItems": 0},
    {"items": {"type": "boolean"}},
    {"properties": {"a": {"type": "integer"}}, "required": ["a", "b"]},
    {"type": "object", "properties": {"a": {"type": "string"}}},
    {"type": "object"},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"anyOf": [True, {"type": "integer"}]},
    TREE,
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_example__schema__is_satisfied(schema):
    value = example(schema)
    jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())


def test_example__property_without_required__is_filled():
    schema = {"type": "object", "properties": {"first_name": {"type": "string"}}}
    assert example(schema) == {"first_name": "demo first name"}


def test_example__optional_beside_required__is_left_out():
    schema = {"properties": {"a": {"type": "null"}, "b": {}}, "required": ["a"]}
    assert example(schema) == {"a": None}


def test_example__hints__fill_lists_and_texts_by_name():
    schema = {
        "properties": {
            "key_partners": {"type": "array", "items": {"type": "string"}},
            "Channels": {"type": "string"},
            "channelCount": {"type": "integer"},
        }
    }
    hints = {"keypartners": ("Banks", "Shops"), "channels": ("Web", "Fairs")}
    assert example(schema, hints) == {
        "key_partners": ["Banks", "Shops"],
        "Channels": "Web Fairs",
        "channelCount": 1,
    }


def test_example__schema_that_requires_itself__ends():
    schema = {"properties": {"me": {"$ref": "#"}}, "required": ["me"]}
    assert "me" in example(schema)


@pytest.mark.parametrize("reference", ["#/nowhere", "#/required/x", "other.json"])
def test_example__broken_reference__gives_some_text(reference):
    schema = {"properties": {"x": {"$ref": reference}}, "required": ["x"]}
    assert example(schema) == {"x": "demo x"}


def test_example__reference_to_itself__ends():
    assert example({"$ref": "#"}) == "demo"


def test_plain__spelling__does_not_matter():
    assert plain("Key Partners") == plain("key_partners") == plain("keyPartners")
