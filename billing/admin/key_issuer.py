"""The issuer of an API key on its page: scopes lost with the issuer's rights, and taking over."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from billing.auth.issuer_rights import describe_loss, find_lost_scopes
from billing.models import ApiKey
from billing.models.api_key import scopes_beyond
from valuecanvas.core.access.recent_login import require_recent_login
from valuecanvas.core.admin.bases import Admin, action

REMEDY = (
    "Take the key over, if you have these rights; or rotate it, so that nobody who "
    "knew its text can use it."
)


class KeyIssuerMixin(Admin):
    """Warns of lost scopes, and lets another person become the issuer."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id and request.method == "GET":
            for key in ApiKey.objects.filter(pk=object_id, revoked_at=None):
                if lost := find_lost_scopes([key]).get(key.pk):
                    messages.warning(request, f"{describe_loss(key, lost)} {REMEDY}")
        return super().changeform_view(request, object_id, form_url, extra_context)

    def refuse_beyond_rights(self, request: HttpRequest, key: ApiKey) -> bool:
        """Whether the key has scopes that its user may not give; they are told so."""
        beyond = scopes_beyond(request.user, key.scopes)
        if beyond:
            text = f"This key has scopes beyond your rights: {', '.join(beyond)}."
            messages.error(request, f"{text} Ask somebody with these rights.")
        return bool(beyond)

    @action(
        description="Take over",
        url_path="take-over",
        icon="how_to_reg",
        permissions=["change"],
    )
    def take_over_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.find_object(request, object_id)
        require_recent_login(request)
        before, user = key.issuer, request.user.get_username()
        if self.refuse_beyond_rights(request, key):
            return redirect(self.change_url(key))
        if request.method != "POST":
            return self.page(
                request,
                "admin/confirm.html",
                title=f"Take over {key.name}",
                original=key,
                text=f"You become its issuer in place of {before or 'a command'}: its "
                "scopes are then valid for as long as you have the rights for them. Its "
                "text stays the same: rotate the key if somebody has left who knows it.",
                verb="Become its issuer",
                back=self.change_url(key),
            )
        key.issuer = user
        key.save(update_fields=["issuer"])
        self.record(request, [key], f"Taken over from {before or 'a command'}.")
        messages.success(request, f"You are the issuer of {key.name} now.")
        return redirect(self.change_url(key))
