"""What can be done to whole flags, and what it means, in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flags import services
from flags.admin import rights
from flags.models import Flag

Do = Callable[[Flag, dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that is done to whole flags. `right` is needed for it."""

    name: str
    title: str
    done: str
    text: str
    do: Do
    right: str = rights.CHANGE
    danger: bool = False
    # Where seconds count, the reason can wait.
    must_say_why: bool = True
    # Done also if somebody changed the flag meanwhile: it can only make things safe.
    always: bool = False


def _calls(service: Callable[..., object]) -> Do:
    return lambda flag, said: service(flag, **said)


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "enable",
            "Turn on",
            "on",
            "From the next request on its rules and its percentage count.",
            _calls(services.enable),
        ),
        Verb(
            "disable",
            "Turn off",
            "off",
            "From the next request on everybody gets what is set for “while off”. "
            "Rules, percentages and schedules stay as they are for later.",
            _calls(services.disable),
            always=True,
        ),
        Verb(
            "kill",
            "Kill",
            "killed",
            "From the next request on everybody gets what is set for “while off”, "
            "whatever else it says, until somebody revives it. Its scheduled changes "
            "are cancelled.",
            _calls(services.kill),
            right=rights.KILL,
            danger=True,
            must_say_why=False,
            always=True,
        ),
        Verb(
            "revive",
            "Revive",
            "alive again",
            "It goes on where it was before it was killed. What was scheduled then "
            "stays cancelled.",
            _calls(services.revive),
            right=rights.KILL,
        ),
        Verb(
            "archive",
            "Archive",
            "archived",
            "Programs that ask for it get their own default from the next request on. "
            "Nothing is deleted: it can be brought back.",
            _calls(services.archive),
            danger=True,
        ),
        Verb(
            "restore",
            "Bring back",
            "in use again",
            "From the next request on programs get it as it was.",
            _calls(services.restore),
        ),
        Verb(
            "delete",
            "Delete",
            "deleted",
            "It is gone for good; its history stays. Programs that ask for it get "
            "their own default. Archiving does the same, and can be undone.",
            _calls(services.delete_flag),
            right=rights.DELETE,
            danger=True,
        ),
    )
}
