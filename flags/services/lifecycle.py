"""Create, edit, import, archive, restore and delete flags."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from flags import guard
from flags.actor import FlagActor
from flags.documents import document, integrity, limits
from flags.models import Flag, FlagKind
from flags.models.event import FlagAction
from flags.services.change import ChangedBy, FlagChange, flag_change, lock, record


def create_flag(
    wanted: Mapping[str, Any],
    *,
    actor: FlagActor,
    reason: str = "",
    protected: bool = False,
    action: FlagAction = FlagAction.CREATED,
) -> Flag:
    """Create a flag from a document like `document.export_document`'s; `name` is required.

    Flags that are not boolean start with 100 %: their weights decide.
    """
    document.check_names(wanted, also=(*document.FIXED, "allocation"))
    flag = Flag(
        name=str(wanted.get("name", "")), kind=wanted.get("kind", FlagKind.BOOLEAN)
    )
    if flag.kind != FlagKind.BOOLEAN:
        flag.percent = Decimal(100)
    flag.protected = protected
    with transaction.atomic():
        flag.full_clean()
        _insert(flag)
        change = FlagChange(flag, document.state(flag))
        change.apply(dict(wanted))
        integrity.check(flag)
        flag.revision = 1
        flag.save()
        change.before = {}
        after = document.state(flag)
        limits.check_whole(after, {})
        guard.check({}, after, actor)
        record(change, action, after=after, actor=actor, reason=reason)
    return flag


def _insert(flag: Flag) -> None:
    try:
        with transaction.atomic():
            flag.save(force_insert=True)
    except IntegrityError:
        # Another one was created between the check and the insert.
        text = f"There is a flag '{flag.name}' already."
        raise ValidationError({"name": text}) from None


def edit_flag(
    flag: Flag,
    changes: Mapping[str, Any],
    *,
    action: FlagAction = FlagAction.EDITED,
    **by: Unpack[ChangedBy],
) -> Flag:
    """Apply `changes`, a part of a document like `document.state`'s.

    `variants`, `rules` and `prerequisites` are replaced as a whole.
    """
    document.check_names(changes, also=("allocation",))
    with flag_change(flag, action, **by) as change:
        change.apply(dict(changes))
        if change.flag.percent != flag_percent(change.before):
            change.cancel_pending("set_percent")
    return change.flag


def flag_percent(before: document.Document) -> Decimal | None:
    found = before["percent"]
    return None if found is None else document.percent(found)


def import_flag(
    wanted: Mapping[str, Any], *, actor: FlagActor, reason: str = ""
) -> Flag:
    """Create or edit the flag `wanted["name"]`; a second import changes nothing."""
    flag = Flag.objects.filter(name=wanted.get("name")).first()
    if flag is None:
        return create_flag(
            wanted, actor=actor, reason=reason, action=FlagAction.IMPORTED
        )
    if wanted.get("kind", flag.kind) != flag.kind:
        raise ValidationError({"kind": f"The kind is {flag.kind} and cannot change."})
    changes = {k: v for k, v in wanted.items() if k not in document.FIXED}
    return edit_flag(
        flag, changes, actor=actor, reason=reason, action=FlagAction.IMPORTED
    )


def archive(flag: Flag, **by: Unpack[ChangedBy]) -> Flag:
    """Archive the flag: callers get their default; pending changes are cancelled."""
    with flag_change(flag, FlagAction.ARCHIVED, **by, checked=False) as change:
        _refuse_needed(change.flag, "archived")
        change.flag.archived = True
        change.cancel_pending()
    return change.flag


def restore(flag: Flag, **by: Unpack[ChangedBy]) -> Flag:
    """Restore an archived flag."""
    with flag_change(flag, FlagAction.RESTORED, **by) as change:
        change.flag.archived = False
    return change.flag


def delete_flag(
    flag: Flag, *, actor: FlagActor, reason: str = "", expected: int | None = None
) -> None:
    """Delete the flag; its events stay."""
    with transaction.atomic():
        locked = lock(flag, expected)
        _refuse_needed(locked, "deleted")
        change = FlagChange(locked, document.state(locked))
        locked.revision += 1
        record(change, FlagAction.DELETED, after={}, actor=actor, reason=reason)
        locked.delete()


def _refuse_needed(flag: Flag, done: str) -> None:
    if flag.protected:
        raise ValidationError(
            {"name": f"The gateway uses '{flag.name}': it cannot be {done}."}
        )
    needing = flag.dependants.values_list("flag__name", flat=True)
    if names := ", ".join(sorted(needing)):
        raise ValidationError({"name": f"'{flag.name}' is needed by {names}."})
