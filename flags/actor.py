"""Who changes a flag, for the audit."""

from dataclasses import dataclass

from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Actor:
    """A user, an API key (`name` is 'key vc-…'), a command, or the schedule."""

    name: str
    user: User | None = None


def of_user(user: User) -> Actor:
    return Actor(user.get_username(), user)


COMMAND = Actor("command line")
FIRST_RUN = Actor("first run")
