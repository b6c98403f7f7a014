"""Who does something on the pages of flags, and what they may."""

from django.http import HttpRequest

from flags.actor import FlagActor, of_user

CHANGE = "flags.change_flag"
KILL = "flags.kill_flag"
DELETE = "flags.delete_flag"


def actor_of(request: HttpRequest) -> FlagActor:
    """Who is written into the audit; the admin lets in nobody who is not signed in."""
    return of_user(request.user)  # type: ignore[arg-type]
