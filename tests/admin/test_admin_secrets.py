"""Nobody learns a secret letter by letter, by asking a list for rows that begin with it."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import BinaryField, Field, Model
from django.test import Client
from django.urls import reverse

from tests.admin.rows import MAKE
from tests.fixtures_billing import make_api_key
from valuecanvas.core.admin.bases import SECRETS

pytestmark = pytest.mark.django_db
SECRET_NAME = re.compile(r"digest|password|secret|sealed|fingerprint|session_key")
LOOKUPS = ("", "__startswith", "__gt", "__regex", "__isnull")


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


def secret(field: Field) -> bool:
    return isinstance(field, BinaryField) or bool(SECRET_NAME.search(field.name))


def secrets_of(model: type[Model]) -> list[str]:
    """Paths from its own fields, and over one relation in either direction."""
    found = []
    for field in model._meta.get_fields():
        if isinstance(field, Field) and secret(field):
            found.append(field.name)
        if field.is_relation and field.related_model not in (None, "self"):
            query_name = field.name
            found += [
                f"{query_name}__{one.name}"
                for one in field.related_model._meta.get_fields()
                if isinstance(one, Field) and secret(one)
            ]
    return found


PATHS = [
    (model._meta.label_lower, path)
    for model in admin.site._registry
    for path in secrets_of(model)
]


def test_secrets__of_all_models__are_named() -> None:
    assert ("billing.apikey", "digest") in PATHS
    assert ("auth.user", "password") in PATHS
    assert ("llm.provider", "api_key_sealed") in PATHS
    assert {path.split("__")[-1] for _, path in PATHS} <= SECRETS


@pytest.mark.parametrize("who", ["auditor", "boss"])
@pytest.mark.parametrize(("label", "path"), PATHS)
def test_list__filtered_by_a_secret__is_refused(
    request: pytest.FixtureRequest, who: str, label: str, path: str
) -> None:
    client: Client = request.getfixturevalue(who)
    MAKE[label]()
    url = reverse(f"admin:{label.replace('.', '_')}_changelist")
    for lookup in LOOKUPS:
        answer = client.get(url, {f"{path}{lookup}": "a"})
        assert answer.status_code in {400, 403}, (path, lookup)


def test_list__of_keys__is_not_told_apart_by_a_digest(auditor: Client) -> None:
    key, _ = make_api_key(name="the one")
    url = reverse("admin:billing_apikey_changelist")
    assert b"the one" in auditor.get(url).content
    for guess in (key.digest[:3], "zzz"):
        assert auditor.get(url, {"digest__startswith": guess}).status_code == 400
