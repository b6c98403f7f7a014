"""Request bodies of the cold path: JSON with a size limit that the database can store."""

from collections.abc import Mapping
from typing import IO, Any, NoReturn

import orjson
from django.conf import settings
from rest_framework import serializers
from rest_framework.parsers import BaseParser

from valuecanvas.core import json_numbers
from valuecanvas.core.api import json_names
from valuecanvas.core.errors import BodyTooLarge, InvalidRequest

DEPTH_MAX = 32


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


class JsonField(serializers.JSONField):
    """Any JSON that a `jsonb` column accepts: no NUL, and limited nesting."""

    def to_internal_value(self, data: Any) -> Any:
        fault = _fault(data, DEPTH_MAX)
        if fault:
            raise serializers.ValidationError(fault)
        return super().to_internal_value(data)


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


class StrictSerializer(serializers.Serializer):
    """Refuses unknown fields: a misspelt one must not be ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, one in self.fields.items() if not one.read_only}
            unknown = sorted(set(data) - known)
            if unknown:
                raise serializers.ValidationError(
                    {
                        name: f"Unknown field. Known: {', '.join(sorted(known))}."
                        for name in unknown
                    }
                )
        return super().to_internal_value(data)


class GivenReason(StrictSerializer):
    """Why something is done."""

    reason = Text(2000, "Why; kept in the history.", default="")


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
