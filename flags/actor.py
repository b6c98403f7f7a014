"""Who changes a flag, for the audit."""

from dataclasses import dataclass

from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class FlagActor:
    """A user, an API key (`name` is 'key vc-…'), a command, or the schedule."""

    name: str
    user: User | None = None
    # What an API key may do; of others None.
    scopes: frozenset[str] | None = None
    # Works on the machine itself, or was asked for rights when it was planned.
    trusted: bool = False
    # Who issued the API key; '' for somebody with a shell.
    issuer: str = ""


def of_user(user: User) -> FlagActor:
    return FlagActor(user.get_username(), user)


COMMAND = FlagActor("command line", trusted=True)
FIRST_RUN = FlagActor("first run", trusted=True)
