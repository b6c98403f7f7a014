"""Request bodies of the cold path: JSON with a size limit that the database can store."""

from collections.abc import Mapping
from typing import IO, Any, NoReturn

import orjson
from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import BaseParser

from valuecanvas.core import json_numbers
from valuecanvas.core.api import json_names
from valuecanvas.core.errors import BodyTooLarge, InvalidRequest

DEPTH_MAX = 32
# The JSON types that fields take.
_TYPES: tuple[tuple[type[serializers.Field], tuple[type, ...], str], ...] = (
    (serializers.CharField, (str,), "This must be a text."),
    (serializers.BooleanField, (bool,), "This must be true or false."),
    (serializers.IntegerField, (int, float), "This must be a number."),
    (serializers.FloatField, (int, float), "This must be a number."),
)


class JsonParser(BaseParser):
    """Parses JSON by orjson, which refuses lone surrogates, as PostgreSQL does."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most = settings.PAGE_MAX_BODY_BYTES
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise BodyTooLarge(f"The body may have at most {most} bytes.")
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(
                f"The body is not valid JSON: {error}.", code="invalid_json"
            ) from error
        if not isinstance(found, dict):
            raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
        json_numbers.refuse_over_64_bits(raw)
        json_names.refuse_repeated(raw)
        return found


@extend_schema_field({"type": ["object", "array", "string", "number", "boolean"]})
class JsonField(serializers.JSONField):
    """Any JSON that a `jsonb` column accepts: no NUL, and limited nesting."""

    def to_internal_value(self, data: Any) -> Any:
        fault = _fault(data, DEPTH_MAX)
        if fault:
            raise serializers.ValidationError(fault)
        return super().to_internal_value(data)


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObjectField(JsonField):
    """A JSON object that a `jsonb` column accepts."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("This must be a JSON object.")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of a few words; the error message lists them."""

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key != "invalid_choice":
            super().fail(key, **kwargs)
        known = ", ".join(f"'{name}'" for name in self.choices)
        raise serializers.ValidationError(f"This is one of {known}.", code=key)


class Text(serializers.CharField):
    """Text with a maximum length, which may be left out or empty."""

    def __init__(self, most: int | None = None, help_text: str = "", **options: Any):
        usual = {"required": False, "allow_blank": True, "max_length": most}
        super().__init__(**{**usual, "help_text": help_text or None, **options})


class Number(serializers.IntegerField):
    """A whole number that the database can store, from 1 by default."""

    def __init__(self, help_text: str = "", **options: Any) -> None:
        usual = {"min_value": 1, "max_value": 2**31 - 1}
        super().__init__(**{**usual, "help_text": help_text or None, **options})


class OptionalNumber(Number):
    """A number that may be left out, or null."""

    def __init__(self, help_text: str = "", **options: Any) -> None:
        usual = {"required": False, "allow_null": True}
        super().__init__(help_text, **{**usual, **options})


@extend_schema_field({"type": "string", "format": "date"})
class Day(serializers.CharField):
    """A date as 2026-12-31, kept as text."""


@extend_schema_field(
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01},
            {
                "type": "string",
                "pattern": r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)$",
            },
        ]
    }
)
class Percent(serializers.DecimalField):
    """A percentage with two decimals, as a number or a text."""

    def __init__(self, **options: Any) -> None:
        usual = {"max_digits": 5, "decimal_places": 2, "min_value": 0}
        super().__init__(**{**usual, "max_value": 100, **options})

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # DRF would take an empty text for null, which means no percentage at all.
        if isinstance(data, str) and not data.strip():
            self.fail("invalid")
        found: tuple[bool, Any] = super().validate_empty_values(data)
        return found


class StrictSerializer(serializers.Serializer):
    """Refuses unknown fields: a misspelt one must not be ignored. Refuses values of
    another JSON type, too, which DRF converts.
    """

    # False for a query, where all is text.
    typed = True

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {n: one for n, one in self.fields.items() if not one.read_only}
            faults = {
                name: f"Unknown field. Known: {', '.join(sorted(known))}."
                for name in sorted(set(data) - set(known))
            }
            if self.typed and not faults:
                faults = {
                    name: fault
                    for name, field in known.items()
                    if name in data and (fault := _type_fault(field, data[name]))
                }
            if faults:
                raise serializers.ValidationError(faults)
        return super().to_internal_value(data)


class GivenReason(StrictSerializer):
    """Why something is done."""

    reason = Text(2000, "Why; kept in the history.", default="")


def _type_fault(field: serializers.Field, value: Any) -> str:
    """What is wrong with the JSON type of `value`, if anything is; null is looked at later."""
    if value is None:
        return ""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        faults = (_type_fault(field.child, one) for one in value)
        return next((fault for fault in faults if fault), "")
    for kind, types, fault in _TYPES:
        if isinstance(field, kind):
            right = isinstance(value, types)
            # In Python true is a number.
            if isinstance(value, bool) and bool not in types:
                right = False
            return "" if right else fault
    return ""


def _fault(data: Any, depth: int) -> str:
    if isinstance(data, str):
        return "NUL is not allowed in text." if "\0" in data else ""
    if isinstance(data, dict):
        below = [*data, *data.values()]
    elif isinstance(data, list):
        below = data
    else:
        return ""
    if depth == 0:
        return f"This is nested more than {DEPTH_MAX} deep."
    return next((fault for one in below if (fault := _fault(one, depth - 1))), "")
