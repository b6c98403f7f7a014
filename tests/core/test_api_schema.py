"""The OpenAPI document and its two pages."""

import json
import re

import pytest
from django.conf import settings
from django.test import Client
from drf_spectacular.renderers import OpenApiYamlRenderer
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from valuecanvas.http.openapi.document_rules import complete_document
from valuecanvas.http.openapi.openapi_document import text

pytestmark = pytest.mark.django_db
VERBS = (
    "archive", "cancel", "compile", "complete", "create", "delete", "diff", "disable",
    "download", "edit", "enable", "evaluate", "explain", "export", "fetch", "finish",
    "get", "kill", "list", "move", "pause", "ramp", "remove", "restore", "resume",
    "retrieve", "retry", "revert", "revive", "rollBack", "rotate", "schedule", "send",
    "set", "start", "submit", "upload", "watch",
)  # fmt: skip
OPERATION = re.compile(rf"({'|'.join(VERBS)})[A-Z][A-Za-z]+")
JSON = {"HTTP_ACCEPT": "application/vnd.oai.openapi+json"}


@pytest.fixture
def schema(client: Client):
    return json.loads(client.get("/api/schema", **JSON).content)


def test_schema__as_served__is_valid_openapi_3_1(schema):
    assert schema["openapi"].startswith("3.1")
    validate(schema)


def test_schema__every_endpoint_of_the_gateway__is_in_it_with_its_errors(schema):
    assert set(schema["paths"]) >= {
        "/v1/chat/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/models",
        "/v1/models/{name}",
        "/api/llm/complete",
        "/api/llm/health",
    }
    answers = schema["paths"]["/v1/chat/completions"]["post"]["responses"]
    assert set(answers) >= {"200", "400", "401", "403", "404", "429", "502", "503"}


def test_schema__security__is_a_bearer_key(schema):
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc"])
def test_page__its_sources__are_all_local(client, path):
    page = client.get(path).content.decode()
    assert "https://" not in page
    assert "http://" not in page


def operations(schema):
    return {
        operation["operationId"]: operation
        for path in schema["paths"].values()
        for operation in path.values()
    }


def walk(node):
    """All objects in the document, with their paths."""
    todo = [("#", node)]
    while todo:
        where, one = todo.pop()
        if isinstance(one, dict):
            yield where, one
            todo += [(f"{where}/{name}", below) for name, below in one.items()]
        elif isinstance(one, list):
            todo += [(f"{where}/{at}", below) for at, below in enumerate(one)]


def test_schema__one_of__is_always_told_apart(schema):
    """A value that fits two branches of oneOf is invalid, which nobody means."""
    ambiguous = {
        where
        for where, one in walk(schema)
        if "oneOf" in one and "discriminator" not in one
    }
    assert ambiguous == set()


def test_rule__an_ambiguous_one_of__is_replaced():
    null = {"type": "null"}
    document = {
        "paths": {},
        "components": {
            "a": {"oneOf": [{}, null]},
            "b": {"oneOf": [{"type": "string"}, null]},
        },
    }
    found = complete_document(document, None, None, True)["components"]
    assert found["a"] == {}
    assert found["b"] == {"anyOf": [{"type": "string"}, null]}


def test_schema__operation_ids__are_a_verb_and_a_noun_and_unique(schema):
    names = [
        one["operationId"] for path in schema["paths"].values() for one in path.values()
    ]
    assert len(names) == len(set(names))
    assert {name for name in names if not OPERATION.fullmatch(name)} == set()


def test_schema__each_operation__has_a_tag_a_summary_and_security(schema):
    for name, operation in operations(schema).items():
        assert operation["summary"], name
        assert set(operation["tags"]) <= {one["name"] for one in schema["tags"]}, name
        assert operation["security"], name
        assert all(one["x-request-id"] for one in headers(schema, operation)), name


def headers(schema, operation):
    for response in operation["responses"].values():
        while "$ref" in response:
            *_, kind, name = response["$ref"].split("/")
            response = schema["components"][kind][name]
        yield response["headers"]


def test_schema__each_operation__names_what_any_may_be_refused_with(schema):
    for name, operation in operations(schema).items():
        expected = {"400", "401", "403", "429", "500", "503"}
        if "requestBody" in operation:
            expected |= {"408", "413", "415"}
        assert set(operation["responses"]) >= expected, name


def test_schema__each_json_body__has_an_example_that_fits(schema):
    for operation in operations(schema).values():
        body = (
            operation.get("requestBody", {}).get("content", {}).get("application/json")
        )
        if body:
            document = {**body["schema"], "components": schema["components"]}
            Draft202012Validator(document).validate(body["example"])


def test_schema__each_error__has_an_example_that_fits(schema):
    shape = {
        "$ref": "#/components/schemas/ErrorBody",
        "components": schema["components"],
    }
    for response in schema["components"]["responses"].values():
        example = response["content"]["application/json"]["example"]
        Draft202012Validator(shape).validate(example)


def test_checked_in_document__the_one_served__is_the_same():
    """`make openapi` writes it."""
    served = text(OpenApiYamlRenderer)
    assert (settings.BASE_DIR / "docs" / "openapi.yaml").read_bytes() == served
