"""Writes markup into every text of the database that people or machines can set."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import BaseValidator, ProhibitNullCharactersValidator
from django.db import DataError, IntegrityError, connection, models, transaction

from tests.security.payloads import PAYLOADS as ALL
from tests.security.payloads import endless

# Each begins as a URL that runs, and ends what it may stand in: an attribute, a text area,
# a script.
PAYLOADS = (
    """javascript:planted=1//"'></textarea></script></title></style>"""
    """<x-planted x-init="planted=1" data-planted onclick=planted=1>"""
    """<img src=/planted onerror=planted=1></x-planted>{{6|add:36}}""",
    """javascript:planted=1//"'><x-planted x-init=planted=1>""",
    """"'><x-planted x-init=planted=1>""",
)
# What is run or compared by machines, and never comes from outside as free text.
KEPT = {
    "auth.user.password": "a digest",
    "auth.permission.codename": "named by code",
    "billing.apikey.digest": "a digest",
    "billing.apikey.scopes": "a choice",
    "django_celery_beat.periodictask.task": "the name of a function",
    "llm.model.takes": "a choice",
}
KINDS = (models.CharField, models.TextField, models.JSONField)
_JSON_TEXT = models.TextField()
APPS = ("admin", "auth", "billing", "django_celery_beat", "flags", "llm", "prompts", "waffle", "core", "backups")  # fmt: skip
# Members of JSON that name things which the code knows.
_KEPT_MEMBERS = {"role", "operator", "name", "kind", "variant", "attribute", "type"}


# Letters of payloads in one field.
MOST = 600


class Source:
    """Gives the payloads of tests/security/payloads.py in turn, as many as there is room."""

    def __init__(self, start: int = 0) -> None:
        self._texts = endless(start)
        self.used: set[str] = set()

    def take(self, field: Any, room: int | None) -> str:
        """For a field of so many letters; '' where none fits or may be there."""
        room = MOST if room is None else min(room, MOST)
        found = ""
        for one in islice(self._texts, len(ALL)):
            # What is checked holds one alone: with another it would not be what it is.
            if len(found) + len(one) <= room and _may_hold(field, one):
                found += one
                self.used.add(one)
                if not _is_plain(field) or len(found) > room - 40:
                    break
        return found


def _may_hold(field: Any, text: str) -> bool:
    if _is_plain(field):
        return True
    try:
        field.run_validators(text)
    except ValidationError:
        return False
    return True


def _is_plain(field: Any) -> bool:
    """Whether it takes any text that is short enough."""
    bounds = (BaseValidator, ProhibitNullCharactersValidator)
    return all(isinstance(one, bounds) for one in field.validators)


def plant(start: int = 0) -> Source:
    """Into all rows that there are, from the payload with this number."""
    source = Source(start)
    with transaction.atomic():
        with connection.cursor() as cursor:
            # History is append-only for everybody else.
            cursor.execute("SET LOCAL session_replication_role = replica")
        for model, field in fields():
            _write(model, field, source)
    return source


def fields() -> Iterator[tuple[type[models.Model], Any]]:
    for model in apps.get_models():
        if model._meta.app_label not in APPS or not model._meta.managed:
            continue
        for field in model._meta.concrete_fields:
            name = f"{model._meta.label_lower}.{field.name}"
            if name not in KEPT and _is_free(field):
                yield model, field


def _is_free(field: Any) -> bool:
    """Whether it takes any text. A key is planted by who makes the row."""
    if isinstance(field, ArrayField):
        return isinstance(field.base_field, KINDS) and not field.base_field.choices
    return isinstance(field, KINDS) and not (field.choices or field.primary_key)


def _write(model: type[models.Model], field: Any, source: Source) -> None:
    rows: models.QuerySet[Any] = models.QuerySet(model)
    for row in rows.all():
        value = _planted(field, getattr(row, field.name), str(row.pk), source)
        try:
            with transaction.atomic():
                rows.filter(pk=row.pk).update(**{field.name: value})
        except (IntegrityError, DataError):
            pass  # the database itself takes no such text there


def _planted(field: Any, value: Any, key: str, source: Source) -> Any:
    if isinstance(field, models.JSONField):
        return _deep(value, source)
    if isinstance(field, ArrayField):
        one = source.take(field.base_field, field.base_field.max_length)
        return [one] if value and one else value
    if not field.unique:
        return source.take(field, field.max_length) or value
    room = None if field.max_length is None else field.max_length - len(key)
    return source.take(field, room) + key if _is_plain(field) else value


def _deep(value: Any, source: Source) -> Any:
    if isinstance(value, dict):
        return {
            key: one if key in _KEPT_MEMBERS else _deep(one, source)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_deep(one, source) for one in value]
    return source.take(_JSON_TEXT, None) if isinstance(value, str) else value
