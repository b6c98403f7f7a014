"""Writes markup into every text of the database that people or machines can set."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.core.validators import BaseValidator, ProhibitNullCharactersValidator
from django.db import DataError, IntegrityError, connection, models, transaction

# Longest first: a field gets the first that fits. Each begins as a URL that runs, and
# ends what it may stand in: an attribute, a text area, a script.
PAYLOADS = (
    """javascript:planted=1//"'></textarea></script></title></style>"""
    """<x-planted x-init="planted=1" data-planted onclick=planted=1>"""
    """<img src=/planted onerror=planted=1></x-planted>{{6|add:36}}""",
    """javascript:planted=1//"'><x-planted x-init=planted=1>""",
    """"'><x-planted x-init=planted=1>""",
)
# What is run or compared by machines, and never comes from outside as free text.
_KEPT = {
    "auth.user.password",
    "auth.permission.codename",
    "billing.apikey.digest",
    "billing.apikey.scopes",
    "django_celery_beat.periodictask.task",
    "llm.model.takes",
}
_APPS = ("admin", "auth", "billing", "django_celery_beat", "flags", "llm", "prompts", "waffle")  # fmt: skip
# Members of JSON that name things which the code knows.
_KEPT_MEMBERS = {"role", "operator", "name", "kind", "variant", "attribute", "type"}


def payload(room: int | None) -> str:
    """'' where none fits."""
    return next((one for one in PAYLOADS if room is None or len(one) <= room), "")


def plant() -> int:
    """Into all rows that there are; how many values were written."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # History is append-only for everybody else.
            cursor.execute("SET LOCAL session_replication_role = replica")
        return sum(_written(model, field) for model, field in _fields())


def _fields() -> Iterator[tuple[type[models.Model], Any]]:
    for model in apps.get_models():
        if model._meta.app_label not in _APPS or not model._meta.managed:
            continue
        for field in model._meta.concrete_fields:
            name = f"{model._meta.label_lower}.{field.name}"
            if name not in _KEPT and _is_free(field):
                yield model, field


def _is_free(field: Any) -> bool:
    """Whether it takes any text. A key is planted by who makes the row."""
    kinds = (models.CharField, models.TextField, models.JSONField, ArrayField)
    if isinstance(field, ArrayField) and not isinstance(field.base_field, kinds):
        return False
    if not isinstance(field, kinds) or field.choices or field.primary_key:
        return False
    # Others: names of a fixed form, schedules, URLs and the like.
    bounds = (BaseValidator, ProhibitNullCharactersValidator)
    return all(isinstance(one, bounds) for one in field.validators)


def _written(model: type[models.Model], field: Any) -> int:
    count = 0
    rows: models.QuerySet[Any] = models.QuerySet(model)
    for row in rows.all():
        value = _planted(field, getattr(row, field.name), str(row.pk))
        try:
            with transaction.atomic():
                count += rows.filter(pk=row.pk).update(**{field.name: value})
        except (IntegrityError, DataError):
            pass  # the database itself takes no such text there
    return count


def _planted(field: Any, value: Any, key: str) -> Any:
    if isinstance(field, models.JSONField):
        return _deep(value)
    if isinstance(field, ArrayField):
        return [payload(field.base_field.max_length)] if value else value
    if not field.unique:
        return payload(field.max_length) or value
    room = None if field.max_length is None else field.max_length - len(key)
    return payload(room) + key


def _deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: one if key in _KEPT_MEMBERS else _deep(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_deep(one) for one in value]
    return PAYLOADS[0] if isinstance(value, str) else value
