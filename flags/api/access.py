"""Rights of the endpoints of flags, and their base class."""

from functools import partial
from typing import Any

from django.utils.functional import cached_property

from flags.actor import FlagActor, user_actor
from flags.api.shapes import ShownFlag
from flags.models import Flag
from valuecanvas.core.api.access import KeyUser, Need
from valuecanvas.core.api.endpoint import Endpoint, operation
from valuecanvas.core.errors import NotFound

READ = Need("flags:read", "flags.view_flag")
CREATE = Need("flags:write", "flags.add_flag")
WRITE = Need("flags:write", "flags.change_flag")
KILL = Need("flags:write", "flags.kill_flag")
DELETE = Need("flags:write", "flags.delete_flag")

flag_operation = partial(operation, tags=["Flags"], answer=ShownFlag)
# Refused also after a conflict.
flag_change = partial(flag_operation, refusals=[404, 409])


class FlagEndpoint(Endpoint):
    """An endpoint with the flag of its URL and the actor."""

    @property
    def actor(self) -> FlagActor:
        """The actor for the audit."""
        user: Any = self.request.user
        if isinstance(user, KeyUser):
            return FlagActor(str(user), scopes=user.scopes, issuer=user.issuer)
        return user_actor(user)

    @cached_property
    def flag(self) -> Flag:
        """The flag of the URL. Raises NotFound."""
        key = self.kwargs["key"]
        found: Flag | None = Flag.objects.filter(name=key).first()
        if found is None:
            raise NotFound(
                f"There is no flag '{key[:100]}'.", param="key", code="flag_not_found"
            )
        return found

    def why(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a service: actor, reason, expected revision."""
        arguments = {"actor": self.actor, "reason": asked.get("reason", "")}
        if "expected_revision" in asked:
            arguments["expected"] = asked["expected_revision"]
        return arguments
