"""The OpenAPI document and its two pages."""

import json
import re

import openai
import pytest
from django.conf import settings
from django.test import Client
from drf_spectacular.renderers import OpenApiYamlRenderer
from jsonschema import Draft202012Validator
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsBase as ChatParams,
)
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.responses.response_create_params import (
    ResponseCreateParamsBase as ResponseParams,
)
from openapi_spec_validator import validate

from llm.request.field_names import check
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.http.openapi.answer_examples import MISSING
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


def contents(schema):
    """What each operation takes and answers: (where, kind, content)."""
    for name, operation in operations(schema).items():
        sent = operation.get("requestBody", {}).get("content", {})
        found = [(f"{name} request", sent)]
        for status, response in operation["responses"].items():
            if "$ref" not in response:
                found.append((f"{name} {status}", response.get("content", {})))
        for where, content in found:
            for kind, one in content.items():
                yield where, kind, one


def test_schema__each_body__has_an_example_that_fits(schema):
    seen = 0
    for where, kind, content in contents(schema):
        if (where, kind) == ("submitBatch request", "application/x-ndjson"):
            # Tools that send examples know no lines of JSON; that of JSON has a line.
            continue
        assert "example" in content, where
        document = {**content["schema"], "components": schema["components"]}
        errors = Draft202012Validator(document).iter_errors(content["example"])
        assert not [error.message for error in errors], where
        assert f'"{MISSING}"' not in json.dumps(content["example"]), where
        seen += 1
    assert seen > 100


def test_schema__each_operation__says_what_it_does(schema):
    missing = {
        name
        for name, operation in operations(schema).items()
        if not operation.get("description")
    }
    assert missing == set()


def test_schema__each_stream__describes_its_events(schema):
    streams = {
        where: content["schema"]["description"]
        for where, kind, content in contents(schema)
        if kind == "text/event-stream"
    }
    assert set(streams) == {
        "createChatCompletion 200",
        "createResponse 200",
        "watchJob 200",
    }
    assert all("`data: `" in text for text in streams.values())


def test_schema__components__have_names_for_a_clients_developer(schema):
    ours = re.compile("Shown|Given|Shape|Paginated|Patched|RequestRequest|Serializer")
    names = schema["components"]["schemas"]
    assert {name for name in names if ours.search(name)} == set()


@pytest.mark.parametrize(
    ("endpoint", "component", "theirs"),
    [
        ("chat", "ChatRequest", ChatParams),
        ("responses", "ResponseRequest", ResponseParams),
        ("embeddings", "EmbeddingRequest", EmbeddingCreateParams),
    ],
)
def test_schema__requests__have_the_fields_of_openais_sdk(
    schema, endpoint, component, theirs
):
    shape = schema["components"]["schemas"][component]
    sent = {name for name in theirs.__annotations__ if is_passed(endpoint, name)}
    assert sent
    assert sent <= shape["properties"].keys()
    assert shape["additionalProperties"] is True


def is_passed(endpoint, name):
    try:
        check(endpoint, {name: {}})
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize(
    ("component", "theirs"),
    [
        ("ChatCompletion", openai.types.chat.ChatCompletion),
        ("ChatChoice", openai.types.chat.chat_completion.Choice),
        ("AnswerMessage", openai.types.chat.ChatCompletionMessage),
        ("Usage", openai.types.CompletionUsage),
        ("EmbeddingList", openai.types.CreateEmbeddingResponse),
        ("EmbeddingVector", openai.types.Embedding),
        ("ResponseObject", openai.types.responses.Response),
        ("Model", openai.types.Model),
        ("FileObject", openai.types.FileObject),
        ("OpenAIBatch", openai.types.Batch),
    ],
)
def test_schema__answers__have_what_openais_sdk_requires(schema, component, theirs):
    shape = schema["components"]["schemas"][component]
    fields = theirs.model_fields.items()
    required = {name for name, field in fields if field.is_required()}
    assert required <= set(shape["required"])


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
