"""The OpenAPI document and its two pages."""

import json

import pytest
from django.test import Client
from openapi_spec_validator import validate

pytestmark = pytest.mark.django_db
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
