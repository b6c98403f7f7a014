"""Providers in the admin."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from llm.admin.discovered import add_models, already_routed
from llm.admin.provider_form import ProviderForm
from llm.admin.route import route_effects
from llm.models import Provider, Route
from llm.providers import discovery
from valuecanvas.core.access.recent_login import RecentLoginAdmin
from valuecanvas.core.admin import form_results
from valuecanvas.core.admin.bases import display
from valuecanvas.core.admin.guard import Effects, GuardedAdmin
from valuecanvas.core.admin.pages import post_only
from valuecanvas.core.templatetags import figures

# Where keys are sent needs a right of its own.
ENDPOINT_RIGHT = "llm.set_provider_endpoint"
ADDING_RIGHTS = ("llm.add_model", "llm.add_route")


@admin.register(Provider)
class ProviderAdmin(RecentLoginAdmin, GuardedAdmin):
    form = ProviderForm
    list_display = (
        "name",
        "key",
        "kind",
        "endpoint",
        "key_state",
        "routes_count",
        "enabled",
    )
    list_filter = (("kind", ChoicesDropdownFilter), "enabled")
    search_fields = ("key", "name", "base_url")
    fieldsets = (
        (None, {"fields": ("key", "name", "kind", "enabled")}),
        (
            "Endpoint and key",
            {
                "fields": (
                    "base_url",
                    "api_key_env",
                    "api_key_ref",
                    "key_state",
                    "new_key",
                    "forget_key",
                    "extra_fields",
                )
            },
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("key", "name", "kind", "enabled")}),
        (
            "Endpoint and key",
            {
                "fields": (
                    "base_url",
                    "api_key_env",
                    "api_key_ref",
                    "new_key",
                    "extra_fields",
                )
            },
        ),
    )
    change_form_outer_before_template = "admin/llm/provider/tools.html"
    empty_text = (
        "A provider is an endpoint that speaks the OpenAI wire format. Add one, test "
        "the connection, then discover its models."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(held=Count("routes"))  # type: ignore[no-any-return]

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route(
                "<path:object_id>/test/",
                post_only(self.test_view, "llm_provider_change"),
                "llm_provider_test",
            ),
            self.route(
                "<path:object_id>/discover/",
                self.discover_view,
                "llm_provider_discover",
            ),
            self.route(
                "<path:object_id>/discover/add/",
                post_only(self.add_models_view, "llm_provider_change"),
                "llm_provider_add_models",
            ),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        allowed = request.user.has_perm(ENDPOINT_RIGHT)
        return allowed and bool(super().has_add_permission(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fixed = ["key_state", *(["key"] if obj else [])]
        if request.user.has_perm(ENDPOINT_RIGHT):
            return fixed
        return [*fixed, "base_url", "api_key_env", "api_key_ref", "extra_fields"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not obj:
            return self.add_fieldsets
        if request.user.has_perm(ENDPOINT_RIGHT) and self.has_change_permission(
            request
        ):
            return self.fieldsets
        fields = ("base_url", "api_key_env", "api_key_ref", "key_state", "extra_fields")
        return (self.fieldsets[0], ("Endpoint and key", {"fields": fields}))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if not request.user.has_perm(ENDPOINT_RIGHT):
            # A POST could still carry hidden fields.
            del form.base_fields["new_key"], form.base_fields["forget_key"]
        return form

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        obj.warning = form.apply_key()
        super().save_model(request, obj, form, change)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if obj.warning:
            messages.warning(request, obj.warning)
        answer: HttpResponse = super().response_change(request, obj)
        return answer

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        if before is None or after.enabled or not before.enabled:
            return {}
        routes = Route.objects.filter(
            provider=after.pk, enabled=True, model__enabled=True
        )
        models = set(routes.values_list("model", flat=True))
        if not models:
            return {}
        count = figures.commas(len(models))
        text = f"Its routes are no longer used. Models with such a route: {count}."
        return {"disable": text, **route_effects(models)}

    @display(
        description="Key in use",
        label={
            "stored here": "success",
            "from Secrets Manager": "success",
            "not read yet": "danger",
            "from environment": "success",
            "variable is empty": "danger",
            "none": "default",
        },
    )
    def key_state(self, provider: Provider) -> str:
        if provider.api_key_ref:
            return "from Secrets Manager" if provider.has_key else "not read yet"
        if provider.has_key:
            return "stored here"
        if not provider.api_key_env:
            return "none"
        found = settings.PROVIDER_KEYS.get(provider.api_key_env)
        return "from environment" if found else "variable is empty"

    @display(description="Base URL", ordering="base_url")
    def endpoint(self, provider: Provider) -> str:
        return provider.base_url

    @display(description="Routes", ordering="held")
    def routes_count(self, provider: Any) -> int:
        return int(provider.held)

    # -- test connection, discover models ---------------------------------------

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        provider = self.find_object(request, object_id)
        result = discovery.check(provider)
        text = f"{provider}: {result.message} ({figures.duration(result.latency_ms)})"
        self.record(request, [provider], f"Tested the connection: {result.message}")
        (messages.success if result.ok else messages.error)(request, text)
        return redirect(self.change_url(provider))

    def discover_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST lists the provider's models, and redirects to the page that shows them."""
        provider = self.find_object(request, object_id)
        if request.method == "POST":
            return form_results.once(request, lambda: _list_models(provider))
        sent = form_results.outcome_of(request)
        if sent is None:
            return redirect(self.change_url(provider))
        value = sent.value or {"names": [], "problem": ""}
        if value["problem"]:
            messages.error(request, f"{provider}: {value['problem']}")
            return redirect(self.change_url(provider))
        routed = already_routed(provider)
        return self.page(
            request,
            "admin/llm/provider/discovered.html",
            title=f"Models of {provider}",
            original=provider,
            provider=provider,
            found=[(name, name in routed) for name in value["names"]],
            note=sent.note,
            may_add=request.user.has_perms(ADDING_RIGHTS),
            back=self.change_url(provider),
        )

    def add_models_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        provider = self.find_object(request, object_id)
        if not request.user.has_perms(ADDING_RIGHTS):
            raise PermissionDenied
        names = request.POST.getlist("model")
        added = add_models(provider, names, discovery.contexts(provider))
        for row in (*added.models, *added.routes):
            self.log_addition(request, row, f"Discovered at {provider}.")
        if added.refused:
            messages.error(request, f"Could not add: {', '.join(added.refused)}.")
        if added.routes:
            messages.success(
                request,
                f"Added {len(added.models)} models and {len(added.routes)} routes. "
                "Make sure that each has a price.",
            )
        url = reverse("admin:llm_route_changelist")
        return redirect(f"{url}?provider__key__exact={provider.pk}")


def _list_models(provider: Provider) -> dict[str, Any]:
    try:
        return {"names": list(discovery.discover(provider)), "problem": ""}
    except discovery.Unreachable as error:
        return {"names": [], "problem": str(error)}
