"""Revert of a flag to an earlier state."""

from typing import Unpack

from django.core.exceptions import ValidationError

from flags.documents import document
from flags.models import Flag, FlagEvent
from flags.models.event import FlagAction
from flags.services.change import ChangedBy, flag_change


def revert(event: FlagEvent, **by: Unpack[ChangedBy]) -> Flag:
    """Revert the flag to its state right after `event`.

    A killed or archived flag stays so: `revive` and `restore` undo that. Pending changes
    are cancelled.
    """
    if event.flag is None:
        raise ValidationError({"name": f"The flag '{event.flag_name}' is deleted."})
    kept = {*document.EDITABLE, "allocation"}
    wanted = {name: value for name, value in event.after.items() if name in kept}
    with flag_change(event.flag, FlagAction.REVERTED, **by) as change:
        change.apply(wanted)
        change.cancel_pending()
        change.details["to_event"] = event.pk
        change.details["to_revision"] = event.revision
    return change.flag
