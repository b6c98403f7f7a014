"""The rights that pages of flags ask for, and who acts on them."""

from django.http import HttpRequest

from flags.actor import FlagActor, of_user

CHANGE = "flags.change_flag"
KILL = "flags.kill_flag"
DELETE = "flags.delete_flag"


def actor_of(request: HttpRequest) -> FlagActor:
    """The signed-in user, as the audit names them."""
    return of_user(request.user)  # type: ignore[arg-type]
