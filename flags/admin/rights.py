"""The rights that pages of flags ask for, and who acts on them."""

from django.http import HttpRequest

from flags.actor import FlagActor, user_actor

CHANGE = "flags.change_flag"
KILL = "flags.kill_flag"
DELETE = "flags.delete_flag"


def request_actor(request: HttpRequest) -> FlagActor:
    """The signed-in user, as the audit names them."""
    # Django's type allows for nobody, whom no page of the admin lets in.
    return user_actor(request.user)  # type: ignore[arg-type]
