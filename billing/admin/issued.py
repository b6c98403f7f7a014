"""The page that shows a new key's text, once."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern

from billing.models import ApiKey
from valuecanvas.core.admin.bases import NO_STORE, Admin
from valuecanvas.core.admin.shown_once import keep_secret, take_secret


class IssuedAdmin(Admin):
    """Redirects from the form that issues a key to the page with its text."""

    def get_urls(self) -> list[URLPattern]:
        show = self.route(
            "<path:object_id>/issued/", self.issued_view, "billing_apikey_issued"
        )
        return [show, *super().get_urls()]

    def show_once(self, request: HttpRequest, key: ApiKey, text: str) -> HttpResponse:
        """Redirect to the page that shows the text: a reload issues no other key.

        Until then the sealed text is in the session of the issuer.
        """
        keep_secret(request, _owner(key), text)
        return redirect("admin:billing_apikey_issued", key.pk)

    def issued_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.find_object(request, object_id, "view")
        text = take_secret(request, _owner(key))
        answer = self.page(
            request,
            "admin/billing/apikey/issued.html",
            title="Copy the key now" if text else "The key was shown already",
            original=key,
            key=key,
            text=text,
        )
        answer["Cache-Control"] = NO_STORE
        return answer


def _owner(key: ApiKey) -> str:
    return f"issued key {key.pk}"
