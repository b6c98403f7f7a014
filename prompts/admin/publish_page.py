"""What the pages share that change what is live of a prompt."""

from typing import Any, ClassVar

from prompts.admin.rights import PUBLISH
from prompts.services import PromptActor
from valuecanvas.core.admin.pages import ConfirmPage


class PublishPage(ConfirmPage):
    """Changes what requests get from the next one on."""

    right = PUBLISH
    needs: ClassVar[str] = "view"

    @property
    def actor(self) -> PromptActor:
        return PromptActor.of(self.request.user)

    def why(self, form: Any) -> dict[str, Any]:
        """Who acts and why, for a service."""
        return {"actor": self.actor, "reason": form.cleaned_data["reason"]}
