"""S23: a PATCH writes the fields that the endpoint names, and no other of the model."""

from typing import Any

import pytest
from django.db.models import Model
from django.test import Client

from billing.models import ApiKey, Customer, Scope
from flags.models import Flag
from prompts.models import Prompt
from tests.fixtures_billing import make_api_key, make_customer
from tests.flags.rows import make_flag
from tests.prompts.rows import make_prompt

pytestmark = pytest.mark.django_db
# What a PATCH may change; all other fields of the model are refused by name.
ALLOWED = {
    Customer: {
        "tier", "suspended", "requests_per_minute", "tokens_per_minute",
        "concurrent_requests",
    },
    Prompt: {"folder", "description", "owner", "tags", "cache_policy", "cache_scope"},
    Flag: {
        "note", "purpose", "owner", "tags", "expires_on", "enabled", "everyone",
        "percent", "sticky", "in_gateway", "default_variant", "off_variant",
        "target_variant", "user_ids", "tiers", "variants", "rules",
    },
}  # fmt: skip


def client_of(*scopes: str) -> Client:
    key, text = make_api_key()
    ApiKey.objects.filter(pk=key.pk).update(scopes=list(scopes))
    return Client(headers={"Authorization": f"Bearer {text}"})


def values_of(row: Model) -> dict[str, Any]:
    return type(row)._default_manager.filter(pk=row.pk).values().get()


# Of several kinds: one of them fits a field.
VALUES = (True, 7, "raised", ["raised"], {"raised": 1}, None)
CASES = [
    (make_customer, "/api/customers/{0.user_id}", "admin"),
    (lambda: make_prompt("one"), "/api/prompts/{0.key}", "prompts:write"),
    (make_flag, "/api/flags/{0.name}", "flags:write"),
]
IDS = ["customer", "prompt", "flag"]


@pytest.mark.parametrize(("make", "path", "scope"), CASES, ids=IDS)
def test_patch__every_field__without_the_scope_changes_nothing(
    make: Any, path: str, scope: str
) -> None:
    row = make()
    client = client_of(*(one for one in Scope.values if one != scope))
    before = values_of(row)
    for field in row._meta.concrete_fields:
        for value in VALUES:
            answer = client.patch(
                path.format(row), {field.name: value}, "application/json"
            )
            assert answer.status_code == 403, field.name
    assert values_of(row) == before


@pytest.mark.parametrize(("make", "path", "scope"), CASES, ids=IDS)
def test_patch__field_that_is_not_named__is_refused_with_the_scope_too(
    make: Any, path: str, scope: str
) -> None:
    row = make()
    client, before = client_of(scope), values_of(row)
    named = {field.name for field in row._meta.concrete_fields}
    assert len(named - ALLOWED[type(row)]) > 3
    for name in named - ALLOWED[type(row)]:
        for value in VALUES:
            answer = client.patch(path.format(row), {name: value}, "application/json")
            assert answer.status_code == 400, name
            assert "Unknown field" in answer.content.decode(), name
    assert values_of(row) == before
