"""Endpoints of actions on a flag: enable, disable, kill, revive, archive, revert."""

from collections.abc import Callable
from typing import Any

from flags import services
from flags.api import access, shapes
from flags.api.access import FlagEndpoint, flag_change
from flags.models import Flag, FlagEvent
from valuecanvas.core.api.access import Need
from valuecanvas.core.errors import NotFound


def post_verb(
    name: str, summary: str, service: Callable[..., Flag], need: Need = access.WRITE
) -> Any:
    """The operation of one action on a flag, with a reason for the audit."""

    @flag_change(f"{name}Flag", summary, need, body=shapes.GivenChangeReason)
    def post(view: FlagEndpoint, asked: dict[str, Any]) -> Flag:
        return service(view.flag, **view.why(asked))

    return post


class Enable(FlagEndpoint):
    """Turns the flag on: its rules and percentage apply."""

    post = post_verb("enable", "Enable a flag", services.enable)


class Disable(FlagEndpoint):
    """Turns the flag off: everyone gets the off variant."""

    post = post_verb("disable", "Disable a flag", services.disable)


class Revive(FlagEndpoint):
    """Undoes a kill: the flag works as before."""

    post = post_verb("revive", "Undo the kill switch", services.revive, access.KILL)


class Archive(FlagEndpoint):
    """Archives the flag: callers get their own default."""

    post = post_verb("archive", "Archive a flag", services.archive)


class RestoreFlag(FlagEndpoint):
    """Restores an archived flag as it was."""

    post = post_verb("restore", "Restore an archived flag", services.restore)


class Kill(FlagEndpoint):
    """Kills the flag: everyone gets the off variant at once, whatever the revision."""

    post = post_verb("kill", "Kill a flag", services.kill, access.KILL)


class Revert(FlagEndpoint):
    """Reverts the flag to its state right after an event."""

    @flag_change("revertFlag", "Revert a flag", access.WRITE, body=shapes.GivenRevert)
    def post(self, asked: dict[str, Any]) -> Flag:
        event = FlagEvent.objects.filter(flag=self.flag, pk=asked["event"]).first()
        if event is None:
            raise NotFound("The flag has no such event.", param="event")
        return services.revert(event, **self.why(asked))
