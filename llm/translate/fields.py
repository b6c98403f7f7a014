"""Typed reads of a request body; a wrong type is refused with the field's name."""

from typing import Any, TypeAlias

from valuecanvas.core.errors import InvalidRequest

Json: TypeAlias = dict[str, Any]


def a_string(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(param, value, "a string")
    return value


def an_object(value: object, param: str) -> Json:
    if not isinstance(value, dict):
        raise _wrong_type(param, value, "an object")
    return value


def a_list(value: object, param: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(param, value, "a list")
    return value


def a_boolean(value: object, param: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(param, value, "true or false")
    return value


def unsupported_field(param: str, what: str, remedy: str) -> InvalidRequest:
    """The refusal of a field that Chat Completions cannot express."""
    return InvalidRequest(
        f"{what} is not supported here: this model's provider offers Chat "
        f"Completions only. {remedy}",
        param=param,
        code="unsupported_parameter",
    )


def _wrong_type(param: str, value: object, wanted: str) -> InvalidRequest:
    if value is None:
        return InvalidRequest(
            f"Missing required parameter: '{param}' ({wanted}).",
            param=param,
            code="missing_required_parameter",
        )
    return InvalidRequest(
        f"Invalid type for '{param}': expected {wanted}.",
        param=param,
        code="invalid_type",
    )
