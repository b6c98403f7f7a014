"""What the endpoints of flags need, and who acts through them."""

from rest_framework.request import Request

from flags.actor import Actor, of_user
from flags.models import Flag
from valuecanvas.core.api.access import KeyUser, Need
from valuecanvas.core.errors import NotFound

READ = Need("flags:read", "flags.view_flag")
CREATE = Need("flags:write", "flags.add_flag")
WRITE = Need("flags:write", "flags.change_flag")
KILL = Need("flags:write", "flags.kill_flag")
DELETE = Need("flags:write", "flags.delete_flag")


def actor(request: Request) -> Actor:
    """Who is written into the audit."""
    user = request.user
    if isinstance(user, KeyUser):
        return Actor(str(user), scopes=user.scopes, issuer=user.issuer)
    return of_user(user)  # type: ignore[arg-type]


def flag(key: str) -> Flag:
    """Raises NotFound."""
    found: Flag | None = Flag.objects.filter(name=key).first()
    if found is None:
        raise NotFound(
            f"There is no flag '{key[:100]}'.", param="key", code="flag_not_found"
        )
    return found
