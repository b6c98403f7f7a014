"""How much a model takes: as its provider lists it, or by the package of prices."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.pricing.prices import package_context
from llm.models import Model
from llm.providers import discovery
from llm.setup import catalogue
from tests.admin.provider_server import Lister, listening
from tests.fixtures_billing import make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> Iterator[Lister]:
    with listening() as one:
        yield one


def lists(server: Lister, **fields: Any) -> None:
    server.body = json.dumps({"data": [{"id": "m", "object": "model", **fields}]})


@pytest.mark.parametrize(
    ("fields", "context"),
    [
        ({"context_length": 131072}, 131072),  # Together.ai, OpenRouter
        ({"context_window": 8192}, 8192),  # Groq
        ({"max_model_len": 4096}, 4096),  # vLLM
        ({"max_context_length": 32768}, 32768),  # Mistral
        ({"meta": {"n_ctx": 2048, "n_ctx_train": 8192}}, 2048),  # llama.cpp
        ({}, None),
        ({"meta": None, "context_length": 0}, None),
        ({"context_length": "many", "context_window": 5}, 5),
        ({"context_length": True}, None),
        ({"context_length": 10**30}, None),
    ],
)
def test_discover__context_by_any_name__is_read(
    server: Lister, fields: dict[str, Any], context: int | None
) -> None:
    lists(server, **fields)
    assert discovery.discover(make_provider(base_url=server.url)) == {"m": context}


def test_add_models__context_that_the_provider_tells__is_the_models(
    operator: Client, server: Lister
) -> None:
    lists(server, context_length=777)
    provider = make_provider("openai", base_url=server.url, kind="openai")
    url = reverse("admin:llm_provider_add_models", args=[provider.pk])
    operator.post(url, {"model": ["m", "gpt-4o-2024-08-06", "nobody-knows"]})
    found = dict(Model.objects.values_list("name", "context_tokens"))
    assert found == {"m": 777, "gpt-4o-2024-08-06": 128_000, "nobody-knows": None}


def test_add_models__provider_is_gone__are_added_all_the_same(operator: Client) -> None:
    provider = make_provider(base_url="http://127.0.0.1:9/v1")
    url = reverse("admin:llm_provider_add_models", args=[provider.pk])
    operator.post(url, {"model": ["nobody-knows"]})
    assert Model.objects.get(pk="nobody-knows").context_tokens is None


def test_catalogue__first_route_known_to_the_package__has_its_context() -> None:
    for row in catalogue.MODELS:
        provider, upstream = row.routes[0]
        known = package_context(provider, upstream)
        assert known in (None, row.context_tokens), row.name
        assert row.context_tokens or row.name == catalogue.DEMO_MODEL
