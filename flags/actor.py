"""The actor of a change, for the audit."""

from dataclasses import dataclass

from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class FlagActor:
    """A user, an API key (`name` is 'key vc-…'), a command, or the schedule."""

    name: str
    user: User | None = None
    # The scopes of an API key; None for others.
    scopes: frozenset[str] | None = None
    # Runs on the machine itself, or had its rights checked when it was scheduled.
    trusted: bool = False
    # Who issued the API key; '' if it was issued on the command line.
    issuer: str = ""


def user_actor(user: User) -> FlagActor:
    return FlagActor(user.get_username(), user)


COMMAND = FlagActor("command line", trusted=True)
FIRST_RUN = FlagActor("first run", trusted=True)
