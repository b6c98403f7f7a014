"""Prompts in the admin: the list, and the form of details."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from prompts import services
from prompts.admin.compare import ComparePage
from prompts.admin.folders import ArchivedFilter, FolderFilter, places
from prompts.admin.labels import MovePage, RollbackPage
from prompts.admin.removal import PromptArchivePage, RemoveLabelPage
from prompts.admin.rollout import RolloutPage
from prompts.admin.words import sentence
from prompts.admin.workspace import PreviewFragment, PromptWorkspaceAdmin
from prompts.models import Experiment, Prompt, PromptEvent, Rollout
from prompts.models.experiment import ExperimentState
from prompts.models.label import with_versions
from prompts.models.rollout import LIVE
from valuecanvas.core.admin.bases import Admin, display, fieldset
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.templatetags.figures import ago

DETAILS = ("key", "kind", "folder", "description", "owner", "tags")


class PromptDetailsForm(ModelForm):
    """The details of a prompt, with widgets of the usual size."""

    class Meta:
        model = Prompt
        fields = (*DETAILS, "cache_policy", "cache_scope")
        widgets = {
            "description": UnfoldAdminTextareaWidget({"rows": 3}),
            "tags": UnfoldAdminTextInputWidget,
        }


class PromptDetailsPage(Page):
    """The plain form: folder, description, owner, tags."""

    name = "details"
    needs = "view"

    def answer(self) -> HttpResponse:
        answer: HttpResponse = Admin.change_view(
            self.admin, self.request, str(self.original.pk)
        )
        return answer


@admin.register(Prompt)
class PromptAdmin(PromptWorkspaceAdmin):
    pages = (
        PreviewFragment,
        MovePage,
        RollbackPage,
        RemoveLabelPage,
        PromptArchivePage,
        RolloutPage,
        ComparePage,
        PromptDetailsPage,
    )
    form = PromptDetailsForm
    list_display = (
        "key",
        "folder_text",
        "production",
        "newest",
        "running",
        "last_change",
        "owner",
    )
    list_select_related = ("owner",)
    list_filter = (
        FolderFilter,
        ("kind", ChoicesDropdownFilter),
        ArchivedFilter,
    )
    fixed_fields = ("key", "kind")
    search_fields = ("key", "description", "folder", "tags")
    search_help_text = "Part of a key, a folder, a tag or the description."
    list_before_template = "admin/prompts/prompt/folders.html"
    autocomplete_fields = ("owner",)
    ordering = ("key",)
    save_and_continue = False
    fieldsets = (
        fieldset(None, *DETAILS),
        fieldset("Response cache", "cache_policy", "cache_scope"),
    )

    class Media:
        css = {"all": ("valuecanvas/prompts.css",)}

    empty_text = (
        "A prompt is a text for a model, kept here by name, so that you can change it "
        "without changing any program."
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # archive it: the ledger and the history name it

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Shows the prompt's own events: they include changes by the API."""
        prompt = self.find_object(request, object_id, "view")
        events = reverse("admin:prompts_promptevent_changelist")
        return redirect(f"{events}?prompt={prompt.pk}")

    # -- the list ------------------------------------------------------------------

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = places(request.GET.get("folder", ""))
        context = {**(extra_context or {}), "places": found if len(found) > 1 else []}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer

    def attach(self, rows: list[Any]) -> None:
        """Load what is live and what happened last, with one query each for all rows."""
        ids = [row.pk for row in rows]
        found: Any = with_versions(Prompt.objects.filter(pk__in=ids)).order_by()
        columns = found.values_list("pk", "production", "latest")
        numbers = {pk: (live, newest) for pk, live, newest in columns}
        running = _running(ids)
        events = {one.prompt_id: one for one in _last_events(ids)}
        for row in rows:
            row.live_number, row.newest_number = numbers.get(row.pk, (None, None))
            row.running_text = running.get(row.pk, "")
            row.last_event = events.get(row.pk)

    @display(description="Folder", ordering="folder")
    def folder_text(self, prompt: Prompt) -> str:
        return prompt.folder or "–"

    @display(description="Production", label={"not published": "warning"})
    def production(self, prompt: Any) -> str:
        return f"v{prompt.live_number}" if prompt.live_number else "not published"

    @display(description="Newest")
    def newest(self, prompt: Any) -> str:
        return f"v{prompt.newest_number}" if prompt.newest_number else "–"

    @display(description="Under way", label="info")
    def running(self, prompt: Any) -> str | None:
        return prompt.running_text or None

    @display(description="Last change")
    def last_change(self, prompt: Any) -> str:
        event = prompt.last_event
        if event is None:
            return "–"
        return format_html(
            '{}<span class="vc-note vp-who">{}, {}</span>',
            capfirst(sentence(event)),
            event.actor_name,
            ago(event.at),
        )

    # -- create, edit details --------------------------------------------------------

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm, change: bool
    ) -> None:
        actor = services.PromptActor.from_user(request.user)
        names = [name for name in form.cleaned_data if name in form.changed_data]
        values = {name: form.cleaned_data[name] for name in names}
        if change:
            services.edit_prompt(obj, actor=actor, **values)
            return
        made = services.create_prompt(actor=actor, **form.cleaned_data)
        vars(obj).update(vars(made))

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return redirect("admin:prompts_prompt_change", obj.pk)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        self.message_user(request, f"The details of {obj} are saved.")
        return redirect("admin:prompts_prompt_change", obj.pk)


def _running(ids: list[Any]) -> dict[Any, str]:
    """Gradual rollouts and experiments in words, by the prompt's id."""
    rollouts = Rollout.objects.filter(prompt__in=ids, state__in=LIVE)
    found: dict[Any, str] = {}
    for prompt, number, share in rollouts.values_list(
        "prompt", "version__number", "share"
    ):
        found[prompt] = f"v{number} at {share / 100:g}\u00a0%"
    experiments = Experiment.objects.filter(
        prompt__in=ids, state=ExperimentState.RUNNING
    )
    for prompt in experiments.values_list("prompt", flat=True):
        found[prompt] = f"{found[prompt]}, experiment" if prompt in found else "experiment"  # fmt: skip
    return found


def _last_events(ids: list[Any]) -> QuerySet[PromptEvent]:
    rows = PromptEvent.objects.filter(prompt__in=ids).defer("reason")
    return rows.order_by("prompt_id", "-id").distinct("prompt_id")
