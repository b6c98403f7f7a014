"""S8: the crawl of planted pages misses no text field, and its payloads are of all kinds."""

from typing import Any

from django.contrib import admin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError

from tests.browser.planting import APPS, KEPT, KINDS, fields
from tests.security.payloads import PAYLOADS

# Keys of rows that are texts; the crawl makes rows that have payloads for them.
PLANTED_KEYS = {"llm.model.name", "llm.cacheepoch.target"}
# Drawn by our code, or made of columns that are planted.
DRAWN_KEYS = {"billing.apikey.prefix", "billing.counter.key"}


def is_text(field: Any) -> bool:
    inner = field.base_field if isinstance(field, ArrayField) else field
    return isinstance(inner, KINDS) and not inner.choices


def takes(field: Any, text: str) -> bool:
    try:
        field.run_validators(text)
    except ValidationError:
        return False
    return True


def test_fields__of_every_model_in_the_admin__are_planted_or_named() -> None:
    planted = {(model, field.name) for model, field in fields()}
    missing = {
        f"{model._meta.label_lower}.{field.name}"
        for model in admin.site._registry
        for field in model._meta.concrete_fields
        if model._meta.managed
        and is_text(field)
        and not field.primary_key
        and (model, field.name) not in planted
    }
    assert missing == KEPT.keys() & missing


def test_keys__of_rows_in_the_admin__take_no_markup_or_are_planted() -> None:
    found = {
        f"{model._meta.label_lower}.{model._meta.pk.name}"
        for model in admin.site._registry
        if model._meta.managed
        and is_text(model._meta.pk)
        and takes(model._meta.pk, "<b onclick=x>")
    }
    assert found == PLANTED_KEYS | DRAWN_KEYS


def test_apps__with_models_in_the_admin__are_all_planted() -> None:
    assert {model._meta.app_label for model in admin.site._registry} <= set(APPS)


def test_payloads__three_hundred__differ() -> None:
    assert len(set(PAYLOADS)) >= 300
