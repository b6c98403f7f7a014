"""Typed reads of a request body; a wrong type is refused with the field's name."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, TypeVar

from valuecanvas.core.errors import InvalidRequest

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")


def _reader(kind: type[T], wanted: str) -> Callable[[object, str], T]:
    def read(value: object, param: str) -> T:
        if not isinstance(value, kind):
            raise _wrong_type(param, value, wanted)
        return value

    return read


a_string = _reader(str, "a string")
an_object: Callable[[object, str], Json] = _reader(dict, "an object")
a_list: Callable[[object, str], list[Any]] = _reader(list, "a list")
a_boolean = _reader(bool, "true or false")


def a_list_of_objects(value: object, param: str) -> list[tuple[Json, str]]:
    """Each object of the list at `param`, with its own name."""
    names = ((one, f"{param}[{at}]") for at, one in enumerate(a_list(value, param)))
    return [(an_object(one, name), name) for one, name in names]


def refuse_unknown(
    given: Mapping[str, Any], known: Collection[str], *, within: str = ""
) -> None:
    """Raises InvalidRequest for a field that is not `known`, in the object `within`."""
    unknown = sorted(given.keys() - known)
    if unknown:
        name = f"{within}{unknown[0]}"
        raise InvalidRequest(
            f"Unknown field '{name}'. Known: {', '.join(known)}.", param=name
        )


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
