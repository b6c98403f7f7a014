"""What the endpoints of prompts need, and who acts through them."""

from rest_framework.request import Request

from prompts.models import Prompt
from prompts.services import Actor
from valuecanvas.core.api.access import KeyUser, Need
from valuecanvas.core.errors import NotFound

READ = Need("prompts:read", "prompts.view_prompt")
CREATE = Need("prompts:write", "prompts.add_prompt")
WRITE = Need("prompts:write", "prompts.change_prompt")
PUBLISH = Need("prompts:publish", "prompts.publish_prompt")


def actor(request: Request) -> Actor:
    """Who is written into the audit."""
    if isinstance(request.user, KeyUser):
        return Actor.of_key(request.user.prefix, request.user.issuer)
    return Actor.of(request.user)


def prompt(key: str) -> Prompt:
    """Raises NotFound."""
    found = Prompt.objects.select_related("owner").filter(key=key).first()
    if found is None:
        raise NotFound(
            f"There is no prompt '{key[:200]}'.", param="key", code="prompt_not_found"
        )
    return found
