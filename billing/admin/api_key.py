"""API keys in the admin: the text is shown once; then keys are revoked or rotated.

Registered by llm/admin, whose form checks the names of models.
"""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.enums import ActionVariant

from billing.admin.api_key_form import ApiKeyForm, RotateForm
from billing.admin.issued import IssuedAdmin
from billing.admin.key_issuer import KeyIssuerMixin
from billing.admin.minute_limits import minute_limits
from billing.auth import keys
from billing.models import ApiKey
from valuecanvas.core.access.recent_login import (
    RecentLoginAdmin,
    require_recent_login,
)
from valuecanvas.core.admin.bases import ExactSearchAdmin, action, display, fieldset
from valuecanvas.core.admin.filters import ConditionFilter
from valuecanvas.core.admin.guard import GuardedAdmin

KEY_LIMITS = minute_limits(
    "Added to the customer's limits. Empty: no limit of its own."
)


class KeyStateFilter(ConditionFilter):
    title = "state"
    parameter_name = "state"

    def conditions(self) -> list[tuple[str, str, Q]]:
        alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return [
            ("active", "Active", Q(revoked_at=None) & alive),
            ("expired", "Expired", Q(revoked_at=None) & ~alive),
            ("revoked", "Revoked", Q(revoked_at__isnull=False)),
        ]


class ApiKeyAdmin(
    RecentLoginAdmin, KeyIssuerMixin, GuardedAdmin, ExactSearchAdmin, IssuedAdmin
):
    # Revoking is always at once.
    recent_acts = frozenset({"add", "change"})
    form = ApiKeyForm
    list_display = (
        "name",
        "masked_key",
        "customer",
        "scopes_text",
        "models",
        "state",
        "expires_at",
        "created_at",
    )
    list_select_related = ("customer",)
    list_filter = (KeyStateFilter,)
    search_fields = ("name",)
    search_help_text = "A name, the part after vc-, or the whole id of a customer."
    autocomplete_fields = ("customer",)
    actions_detail = ("rotate_page", "take_over_page", "revoke_page")
    add_fieldsets = (
        fieldset(None, "name", "customer", "expires_at"),
        fieldset("Rights", "scopes", "allowed_models", "cache_policy"),
        fieldset("Tags", "tags", "allowed_tags"),
        KEY_LIMITS,
    )
    fieldsets = (
        fieldset(None, "name", "masked_key", "customer", "state", "expires_at"),
        fieldset("Rights", "scopes", "allowed_models", "cache_policy"),
        fieldset("Tags", "tags", "allowed_tags"),
        KEY_LIMITS,
        fieldset("History", "issuer", "replaces", "revoked_at", "created_at"),
    )
    fixed_fields = ("customer",)
    readonly_fields = (
        "masked_key",
        "state",
        "issuer",
        "replaces",
        "revoked_at",
        "created_at",
    )
    empty_text = "Issue a key: its text is shown once, right after you save."

    def condition(self, term: str) -> Q:
        # People paste whole keys; the secret half is ignored.
        prefix = keys.parse(term) or term.removeprefix("vc-").rstrip("-…")
        return Q(name__icontains=term) | Q(pk=prefix) | Q(customer__user_id=term)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Unfold passes an id, Django the object.
        revoked = isinstance(obj, ApiKey) and obj.revoked_at is not None
        return not revoked and bool(super().has_change_permission(request, obj))

    def has_rotate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Not by the right's name: Unfold's check would look that up in the database,
        # and so fail before the first migration.
        return self.has_change_permission(request, obj) and self.has_add_permission(
            request
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoke it: the ledger and the audit log name it

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        if ApiKey.objects.filter(pk=object_id, revoked_at=None).exists():
            return super().get_actions_detail(request, object_id)  # type: ignore[no-any-return]
        return []

    @display(description="Key", ordering="prefix")
    def masked_key(self, key: ApiKey) -> str:
        return f"vc-{key.prefix}-…"

    @display(description="Scopes")
    def scopes_text(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(description="Models")
    def models(self, key: ApiKey) -> str:
        if len(key.allowed_models) > 2:
            return f"{len(key.allowed_models)} models"
        return ", ".join(key.allowed_models) or "every model"

    @display(
        description="State",
        label={"active": "success", "expired": "warning", "revoked": "danger"},
    )
    def state(self, key: ApiKey) -> str:
        return key.state(timezone.now())

    # -- issue ---------------------------------------------------------------

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        key, text = keys.issue(
            customer=obj.customer,
            name=obj.name,
            scopes=obj.scopes,
            allowed_models=obj.allowed_models,
            tags=obj.tags,
            allowed_tags=obj.allowed_tags,
            expires_at=obj.expires_at,
            limits=obj.minute_limits,
            cache_policy=obj.cache_policy,
            issuer=request.user.get_username(),
        )
        vars(obj).update(vars(key))
        obj.text_shown_once = text

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if kwargs.get("add"):
            context["show_save_and_continue"] = False  # the next page is the key's
        return super().render_change_form(request, context, *args, **kwargs)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self.show_once(request, obj, obj.text_shown_once)

    # -- rotate and revoke ---------------------------------------------------

    @action(
        description="Rotate",
        url_path="rotate",
        icon="autorenew",
        permissions=["rotate"],
    )
    def rotate_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.find_object(request, object_id)
        require_recent_login(request)
        # They would get its text.
        if self.refuse_beyond_rights(request, key):
            return redirect(self.change_url(key))
        form = RotateForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            return self.page(
                request,
                "admin/confirm.html",
                title=f"Rotate {key.name}",
                original=key,
                form=form,
                text="A new key with the same rights replaces this one. "
                "Its text is shown once, on the next page.",
                verb="Issue the new key",
                back=self.change_url(key),
            )
        overlap = timedelta(hours=form.cleaned_data["overlap"])
        try:
            new, text = keys.rotate(key, overlap, issuer=request.user.get_username())
        except ValidationError as error:
            messages.error(request, error.messages[0])
            return redirect(self.change_url(key))
        self.record(request, [key], f"Rotated: replaced by {self.masked_key(new)}.")
        self.log_addition(request, new, f"Issued in place of {self.masked_key(key)}.")
        return self.show_once(request, new, text)

    @action(
        description="Revoke",
        url_path="revoke",
        icon="block",
        permissions=["change"],
        variant=ActionVariant.DANGER,
    )
    def revoke_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.find_object(request, object_id)
        if request.method != "POST":
            return self.page(
                request,
                "admin/confirm.html",
                title=f"Revoke {key.name}",
                original=key,
                text="Requests with this key are refused at once. "
                "This cannot be undone.",
                verb="Revoke the key",
                danger=True,
                back=self.change_url(key),
            )
        keys.revoke(key)
        self.record(request, [key], "Revoked.")
        messages.success(request, f"{key} is revoked.")
        return redirect(self.change_url(key))

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet
    ) -> HttpResponse | None:
        chosen = list(
            ApiKey.objects.filter(pk__in=queryset.values("pk"), revoked_at=None)
        )
        if "confirmed" not in request.POST:
            return self.ask_for(
                request,
                "revoke_selected",
                chosen,
                title="Revoke keys",
                text="Requests with these keys are refused at once. This cannot be undone.",
                rows=chosen,
                verb="Revoke them",
                danger=True,
            )
        for key in chosen:
            keys.revoke(key)
        self.record(request, chosen, "Revoked.")
        messages.success(request, f"Revoked {len(chosen)} keys.")
        return None

    actions = ("revoke_selected",)
