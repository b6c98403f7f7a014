"""The base of pages that change what is live."""

from typing import Any, ClassVar

from prompts.admin.rights import PUBLISH
from prompts.services import PromptActor
from valuecanvas.core.admin.pages import ConfirmPage


class PublishPage(ConfirmPage):
    """A page whose change applies from the next request on."""

    right = PUBLISH
    needs: ClassVar[str] = "view"

    @property
    def actor(self) -> PromptActor:
        return PromptActor.from_user(self.request.user)

    def why(self, form: Any) -> dict[str, Any]:
        """The arguments of a service: actor and reason."""
        return {"actor": self.actor, "reason": form.cleaned_data["reason"]}
