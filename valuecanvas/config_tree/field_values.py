"""Values of fields in the form that YAML files have, and back."""

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db.models import CharField, DateField, DecimalField, Model

from prompts.services.words import check_storable
from valuecanvas.site.groups import find_permissions

# Parts of the tasks that use them, which are made where they are missing.
SCHEDULES: dict[str, tuple[str, ...]] = {
    "django_celery_beat.clockedschedule": ("clocked_time",),
    "django_celery_beat.crontabschedule": (
        "minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone",
    ),
    "django_celery_beat.intervalschedule": ("every", "period"),
    "django_celery_beat.solarschedule": ("event", "latitude", "longitude"),
}  # fmt: skip
# The fields by which files name a row. One is written as its value, several as a mapping.
KEYS = {
    **SCHEDULES,
    "auth.group": ("name",),
    "auth.permission": ("codename",),
    "billing.budget": (
        "scope",
        "team",
        "customer",
        "model",
        "tag",
        "period",
        "starts_on",
    ),
    "billing.customer": ("user_id", "team"),
    "billing.price": ("provider", "upstream_model", "effective_from"),
    "billing.team": ("key",),
    "billing.tier": ("key",),
    "django_celery_beat.periodictask": ("name",),
    "flags.flag": ("name",),
    "flags.scheduledchange": ("flag", "at", "kind", "payload"),
    "llm.model": ("name",),
    "llm.provider": ("key",),
    "llm.recurringjob": ("name",),
    "llm.route": ("model", "provider", "upstream_model"),
    "prompts.experiment": ("prompt", "key"),
    "prompts.prompt": ("key",),
    "prompts.promptversion": ("number",),
    "prompts.protectedlabel": ("name",),
    "waffle.sample": ("name",),
    "waffle.switch": ("name",),
}


def key_fields(model: type[Model]) -> dict[str, Any]:
    names = KEYS[model._meta.label_lower]
    return {name: model._meta.get_field(name) for name in names}


def key_of(model: type[Model], values: Mapping[str, Any]) -> Any:
    """The key of the row that has these values, as files write it."""
    key = {name: values[name] for name in key_fields(model)}
    if len(key) == 1:
        return next(iter(key.values()))
    return {name: value for name, value in key.items() if value not in (None, "")}


def label(key: Any) -> str:
    """A key as words of a line."""
    return " ".join(map(label, key.values())) if isinstance(key, Mapping) else str(key)


def canonical(value: Any) -> str:
    """`value` as JSON in one form: unlike for Python, 1 is not 1.0."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def read(field: Any, row: Model) -> Any:
    """The value of a row's field, as files have it."""
    if field.many_to_many:
        return sorted(map(_read_key, getattr(row, field.name).all()))
    if not field.is_relation:
        return plain(field.value_from_object(row))
    related = getattr(row, field.name)
    return None if related is None else _read_key(related)


def _read_key(row: Model) -> Any:
    if isinstance(row, Permission):
        return f"{row.content_type.app_label}.{row.codename}"
    values = {name: read(field, row) for name, field in key_fields(type(row)).items()}
    return key_of(type(row), values)


def plain(value: Any) -> Any:
    """A value of Python as JSON; decimals and times are text."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC).isoformat()
    if isinstance(value, list | dict):
        return json.loads(canonical(value))
    return (
        value if value is None or isinstance(value, bool | int | float) else str(value)
    )


def default_of(field: Any) -> Any:
    return [] if field.many_to_many else plain(field.get_default())


def parse_fields(fields: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """The values of a file as `read` has them; a missing one is the field's default.

    Raises ValidationError by field.
    """
    if not isinstance(given, Mapping):
        raise ValidationError("This is a mapping of fields.")
    if unknown := sorted(set(map(str, given)) - fields.keys()):
        raise ValidationError({unknown[0]: "There is no such field."})
    found, errors = {}, {}
    for name, field in fields.items():
        try:
            found[name] = _parse(field, given.get(name, default_of(field)))
            check_storable(name, found[name])
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise ValidationError(errors)
    return found


def _parse(field: Any, value: Any) -> Any:
    if field.many_to_many or isinstance(field, ArrayField):
        if not isinstance(value, list) or None in value:
            raise ValidationError("This is a list, and no item is null.")
        item = CharField() if field.many_to_many else field.base_field
        items = [_parse(item, one) for one in value]
        return sorted(items) if field.many_to_many else items
    if value is None:
        return None
    if field.is_relation:
        keys = key_fields(field.related_model)
        named = value if len(keys) > 1 else dict.fromkeys(keys, value)
        return key_of(field.related_model, parse_fields(keys, named))
    # A number may be written as such, a time as YAML's own.
    as_text = isinstance(field, DecimalField | DateField)
    try:
        found = plain(field.to_python(str(value) if as_text else value))
    except OverflowError:
        # Django's integers take infinity for a number.
        raise ValidationError("Write a finite number.") from None
    if not as_text and canonical(found) != canonical(value):
        raise ValidationError(f"Write it as {canonical(found)}.")
    return found


class KnownRows:
    """The rows that keys name: those that an import adds, else the database's."""

    def __init__(self) -> None:
        self._rows: dict[tuple[type[Model], str], Any] = {}

    def add(self, key: Any, row: Model) -> None:
        self._rows[type(row), canonical(key)] = row

    def get(self, model: type[Model], key: Any) -> Any:
        """The row. Raises ValidationError without one."""
        place = (model, canonical(key))
        if place not in self._rows:
            fields = key_fields(model)
            values = key if len(fields) > 1 else dict.fromkeys(fields, key)
            self._rows[place] = _stored(
                model,
                {
                    name: self.value(one, values.get(name))
                    for name, one in fields.items()
                },
            )
        if self._rows[place] is None:
            raise ValidationError(
                f"There is no {model._meta.verbose_name} {label(key)}."
            )
        return self._rows[place]

    def value(self, field: Any, value: Any) -> Any:
        """The value of Python for one of `parse_fields`. Raises ValidationError."""
        if field.many_to_many:
            return [self.get(field.related_model, one) for one in value]
        if field.is_relation and value is not None:
            return self.get(field.related_model, value)
        return None if value is None else field.to_python(value)


def _stored(model: type[Model], values: dict[str, Any]) -> Model | None:
    if model is Permission:
        return next(iter(find_permissions(values.values()).values()), None)
    found = model._default_manager.filter(**values).first()
    if found is None and model._meta.label_lower in SCHEDULES:
        found = model(**values)
        found.full_clean()
        found.save()
    return found
