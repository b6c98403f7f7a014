"""What is done to a flag in one word: enable, disable, kill, revive, archive, revert."""

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
    """The operation that does one thing to a flag, with a reason for the audit."""

    @flag_change(f"{name}Flag", summary, need, body=shapes.Said)
    def post(view: FlagEndpoint, asked: dict[str, Any]) -> Flag:
        return service(view.flag, **view.why(asked))

    return post


def _kill(flag: Flag, *, actor: Any, reason: str, expected: int | None = None) -> Flag:
    return services.kill(flag, actor=actor, reason=reason)


class Enable(FlagEndpoint):
    """Its rules and percentage count."""

    post = post_verb("enable", "Enable a flag", services.enable)


class Disable(FlagEndpoint):
    """Everyone gets the off variant."""

    post = post_verb("disable", "Disable a flag", services.disable)


class Revive(FlagEndpoint):
    """It goes on where it was."""

    post = post_verb("revive", "Undo the kill switch", services.revive, access.KILL)


class Archive(FlagEndpoint):
    """Callers get their own default; it can be restored."""

    post = post_verb("archive", "Archive a flag", services.archive)


class RestoreFlag(FlagEndpoint):
    """Out of the archive, as it was."""

    post = post_verb("restore", "Restore an archived flag", services.restore)


class Kill(FlagEndpoint):
    """Everyone gets the off variant at once, whatever the revision."""

    post = post_verb("kill", "Kill a flag", _kill, access.KILL)


class Revert(FlagEndpoint):
    """Back to how it was right after an event of its history."""

    @flag_change("revertFlag", "Revert a flag", access.WRITE, body=shapes.GivenRevert)
    def post(self, asked: dict[str, Any]) -> Flag:
        event = FlagEvent.objects.filter(flag=self.flag, pk=asked["event"]).first()
        if event is None:
            raise NotFound("The flag has no such event.", param="event")
        return services.revert(event, **self.why(asked))
