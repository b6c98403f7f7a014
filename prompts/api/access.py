"""Rights of the endpoints of prompts, and their base class."""

from functools import partial
from typing import Any

from django.utils.functional import cached_property

from prompts.models import Prompt
from prompts.services import PromptActor
from valuecanvas.core.api.access import KeyUser, Need
from valuecanvas.core.api.endpoint import Endpoint, operation
from valuecanvas.core.errors import NotFound

READ = Need("prompts:read", "prompts.view_prompt")
CREATE = Need("prompts:write", "prompts.add_prompt")
WRITE = Need("prompts:write", "prompts.change_prompt")
PUBLISH = Need("prompts:publish", "prompts.publish_prompt")

prompt_operation = partial(operation, tags=["Prompts"])
# Refused also after a conflict.
prompt_change = partial(prompt_operation, refusals=[404, 409])


class PromptEndpoint(Endpoint):
    """An endpoint with the prompt of its URL and the actor."""

    @property
    def actor(self) -> PromptActor:
        """The actor for the audit."""
        user: Any = self.request.user
        if isinstance(user, KeyUser):
            return PromptActor.from_key(user.prefix, user.issuer)
        return PromptActor.from_user(user)

    @cached_property
    def prompt(self) -> Prompt:
        """The prompt of the URL. Raises NotFound."""
        key = self.kwargs["key"]
        found = Prompt.objects.select_related("owner").filter(key=key).first()
        if found is None:
            raise NotFound(
                f"There is no prompt '{key[:200]}'.",
                param="key",
                code="prompt_not_found",
            )
        return found
