"""A flag as one JSON document, for audit, exports and edits."""

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db.models import Model

from flags.documents import document_parts, limits
from flags.models import Flag
from valuecanvas.core.models import ConfigQuerySet

Document = dict[str, Any]

# Fields that are copied as they are.
PLAIN = (
    "note",
    "purpose",
    "tags",
    "in_gateway",
    "enabled",
    "everyone",
    "sticky",
    "default_variant",
    "off_variant",
    "user_ids",
    "tiers",
    "target_variant",
    "superusers",
    "staff",
    "authenticated",
    "languages",
    "testing",
)
# Set once, at the creation.
FIXED = ("name", "kind")
# In the audit only: services change them, edits do not.
AUDIT_ONLY = ("archived", "killed", "allocation")
SPECIAL = ("percent", "owner", "expires_on", "users", "groups")
EDITABLE = frozenset((*PLAIN, *SPECIAL, *document_parts.PARTS))


def state(flag: Flag) -> Document:
    """All settings of `flag`, as JSON."""
    found: Document = {name: _plain(flag, name) for name in (*FIXED, *PLAIN)}
    found["percent"] = None if flag.percent is None else float(flag.percent)
    found["owner"] = flag.owner.get_username() if flag.owner else None
    found["expires_on"] = flag.expires_on.isoformat() if flag.expires_on else None
    found["users"] = sorted(user.get_username() for user in flag.users.all())
    found["groups"] = sorted(group.name for group in flag.groups.all())
    found |= document_parts.state(flag)
    found |= {
        "allocation": flag.allocation,
        "archived": flag.archived,
        "killed": flag.killed,
    }
    return found


def _plain(flag: Flag, name: str) -> Any:
    """A field's value; an unsaved choice as text, not as enum."""
    found = getattr(flag, name)
    return str(found) if isinstance(found, str) else found


def with_parts(flags: ConfigQuerySet) -> ConfigQuerySet:
    """`flags` with the related rows that `state` reads, in few queries."""
    parts_of = ("variants", "rules", "prerequisites__on", "users", "groups")
    return flags.select_related("owner").prefetch_related(*parts_of)


def export_document(flag: Flag) -> Document:
    """`state` without fields of this database: a flag can be created from it."""
    return {name: v for name, v in state(flag).items() if name not in AUDIT_ONLY[:2]}


def check_names(changes: Mapping[str, Any], *, also: tuple[str, ...] = ()) -> None:
    """Check the names of edited fields. Raises ValidationError."""
    unknown = sorted(set(map(str, changes)) - EDITABLE - set(also))
    if unknown:
        raise ValidationError({unknown[0]: "This cannot be edited."})


def apply(flag: Flag, changes: Mapping[str, Any], before: Document) -> None:
    """Apply `changes` to the flag, without saving it; its parts are saved.

    Raises ValidationError by field.
    """
    limits.check(changes, before)
    for name in PLAIN:
        if name in changes:
            setattr(flag, name, changes[name])
    for name, setter in _SETTERS.items():
        if name in changes and changes[name] != before[name]:
            setter(flag, changes[name])
    document_parts.apply(flag, changes, before)


def _set_percent(flag: Flag, value: object) -> None:
    flag.percent = None if value is None else percent(value)


def percent(value: object, field: str = "percent") -> Decimal:
    """`value` as a percentage. Raises ValidationError for `field`."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if isinstance(value, bool) or not found.is_finite() or not 0 <= found <= 100:
        raise ValidationError({field: "A percentage is a number from 0 to 100."})
    if found != (rounded := found.quantize(Decimal("0.01"))):
        raise ValidationError({field: "At most two digits after the point."})
    return rounded


def _set_owner(flag: Flag, value: object) -> None:
    flag.owner = _users([value])[0] if value else None


def _set_expiry(flag: Flag, value: object) -> None:
    try:
        flag.expires_on = dt.date.fromisoformat(str(value)) if value else None
    except ValueError as error:
        raise ValidationError({"expires_on": "Write a date as 2026-12-31."}) from error


def _set_users(flag: Flag, value: Any) -> None:
    flag.users.set(_users(value, field="users"))


def _set_groups(flag: Flag, value: Any) -> None:
    flag.groups.set(_rows(Group, "name", value, "groups"))


def _users(value: Any, field: str = "owner") -> list[Any]:
    return _rows(User, "username", value, field)


def _rows(model: type[Model], column: str, value: Any, field: str) -> list[Any]:
    """The rows that `value` names. Raises ValidationError for `field`."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValidationError({field: "This is a list of names."})
    found = list(model._default_manager.filter(**{f"{column}__in": value}))
    if missing := set(value) - {getattr(row, column) for row in found}:
        noun = model._meta.verbose_name
        raise ValidationError({field: f"There is no {noun} '{min(missing)}'."})
    return found


_SETTERS: dict[str, Callable[[Flag, Any], None]] = {
    "percent": _set_percent,
    "owner": _set_owner,
    "expires_on": _set_expiry,
    "users": _set_users,
    "groups": _set_groups,
}
