"""Pages that take something away: a label, or a whole prompt out of use."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse

from prompts import services
from prompts.admin.reason import REFUSALS, ReasonForm, told
from prompts.admin.rights import PUBLISH, refuse_unless
from prompts.models import Prompt


class RemovalMixin:
    """For the admin of prompts."""

    one: Any
    page: Any
    record: Any
    route: Any

    def removal_urls(self) -> list[URLPattern]:
        views = (
            ("remove_label", self.remove_label_view),
            ("archive", self.archive_view),
        )
        return [
            self.route(f"<path:object_id>/{name}/", view, f"prompts_prompt_{name}")
            for name, view in views
        ]

    def remove_label_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refuse_unless(request, PUBLISH)
        prompt = self.one(request, object_id, "view")
        label = prompt.labels.filter(name=request.GET.get("label", "")).first()
        if label is None:
            raise Http404("There is no such label.")
        now = {"expected": label.version.number}
        form = ReasonForm(request.POST or None, initial=now)
        if request.method == "POST" and form.is_valid():
            try:
                services.remove_label(
                    prompt,
                    label.name,
                    actor=services.Actor.of(request.user),
                    reason=form.cleaned_data["reason"],
                    expected=form.cleaned_data["expected"],
                )
            except REFUSALS as error:
                form.add_error(None, told(error))
            else:
                self.record(request, [prompt], f"Removed the label {label.name}.")
                messages.success(request, f"The label {label.name} is gone.")
                return redirect("admin:prompts_prompt_change", prompt.pk)
        return self._plain(
            request,
            prompt,
            form,
            title=f"Remove the label {label.name}",
            text=f"Programs that ask for “{label.name}” of this prompt get an error "
            "from the next request on. The versions stay.",
            verb="Remove the label",
        )

    # -- archive ---------------------------------------------------------------------

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Out of use, or into use again."""
        refuse_unless(request, PUBLISH)
        prompt = self.one(request, object_id)
        archive = not prompt.archived
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                services.edit_prompt(
                    prompt,
                    actor=services.Actor.of(request.user),
                    archived=archive,
                    reason=form.cleaned_data["reason"],
                )
            except REFUSALS as error:
                form.add_error(None, told(error))
            else:
                done = "archived" if archive else "in use again"
                self.record(request, [prompt], f"Now {done}.")
                messages.success(request, f"{prompt.key} is {done}.")
                return redirect("admin:prompts_prompt_change", prompt.pk)
        return self._plain(
            request,
            prompt,
            form,
            title=f"Archive {prompt.key}" if archive else f"Use {prompt.key} again",
            text="From the next request on, programs that ask for it get an error that "
            "says it is archived. Nothing is deleted: it can be brought back."
            if archive
            else "From the next request on, programs get it again as before.",
            verb="Archive it" if archive else "Bring it back",
            danger=archive,
        )

    def _plain(
        self, request: HttpRequest, prompt: Prompt, form: Any, **context: Any
    ) -> HttpResponse:
        answer: HttpResponse = self.page(
            request,
            "admin/confirm.html",
            original=prompt,
            form=form,
            back=reverse("admin:prompts_prompt_change", args=[prompt.pk]),
            status=422 if form.errors else 200,
            **{"danger": True, **context},
        )
        return answer
