"""The page of a prompt: editor, preview, what is live, history."""

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from prompts import services
from prompts.admin import diff, preview
from prompts.admin.compare import version_of
from prompts.admin.rights import PUBLISH
from prompts.admin.status import status
from prompts.admin.value_rules import KINDS
from prompts.admin.version_form import MUST, ROLES, VersionForm
from prompts.models import Prompt
from valuecanvas.core.admin.bases import Admin
from valuecanvas.core.admin.pages import Page, refuse
from valuecanvas.core.errors import Conflict


class PreviewFragment(Page):
    """A fragment: the text as the model would get it, with the sample values."""

    name = "preview"
    needs = "view"
    post_only = True

    def answer(self) -> HttpResponse:
        form = VersionForm(self.original, self.request.POST)
        template = "admin/prompts/prompt/preview.html"
        return self.fragment(template, form=form, shown=preview.show(form))


class PromptWorkspaceAdmin(Admin):
    """The change page of the admin of prompts."""

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """GET shows the prompt with the newest version, or `?version=`, in the editor;
        POST saves the editor as a new version."""
        if request.method == "POST":
            prompt = self.find_object(request, object_id)
            return self._save(request, prompt)
        prompt = self.find_object(request, object_id, "view")
        now = status(prompt, all_versions="all" in request.GET)
        number = request.GET.get("version") or now.newest
        source = None if number is None else version_of(prompt, number)
        form = VersionForm(prompt, source=source, newest=now.newest)
        return self._show(request, now, form, source=source)

    # -- saving ----------------------------------------------------------------------

    def _save(self, request: HttpRequest, prompt: Prompt) -> HttpResponse:
        form = VersionForm(prompt, request.POST)
        if not form.is_valid():
            return self._show(request, status(prompt), form, code=422)
        try:
            version = services.add_version(
                prompt,
                **form.words(),
                variables=form.cleaned_data["variables"],
                model=form.cleaned_data["model"].strip(),
                parameters=form.settings(),
                actor=services.PromptActor.from_user(request.user),
                note=form.cleaned_data["note"],
                based_on=form.cleaned_data["based_on"],
            )
        except ValidationError as error:
            refuse(form, error)
            return self._show(request, status(prompt), form, code=422)
        except Conflict:
            return self._lost(request, prompt, form)
        self.record(request, [prompt], f"Wrote version {version.number}.")
        if "publish" in request.POST:
            query = urlencode({"version": version.number})
            url = reverse("admin:prompts_prompt_move", args=[prompt.pk])
            return redirect(f"{url}?{query}")
        messages.success(
            request,
            f"Version {version.number} is saved. It is not live: publish it when "
            "it is ready.",
        )
        return redirect("admin:prompts_prompt_change", prompt.pk)

    def _lost(
        self, request: HttpRequest, prompt: Prompt, form: VersionForm
    ) -> HttpResponse:
        """After a conflict: show who saved first, and what they changed."""
        now = status(prompt)
        winner = prompt.versions.latest("number")
        base = prompt.versions.filter(number=form.cleaned_data["based_on"]).first()
        # The page shows the newer version, so the next save may replace it.
        form.data = dict(form.data.items()) | {"based_on": now.newest}
        changed = diff.sections(base, winner) if base else []
        return self._show(
            request,
            now,
            form,
            code=409,
            winner=winner,
            base=base,
            sections=[one for one in changed if one.changed],
        )

    # -- showing ---------------------------------------------------------------------

    def _show(
        self,
        request: HttpRequest,
        now: Any,
        form: VersionForm,
        *,
        code: int = 200,
        **context: Any,
    ) -> HttpResponse:
        prompt = now.prompt
        return self.page(
            request,
            "admin/prompts/prompt/workspace.html",
            title=prompt.key,
            original=prompt,
            status=code,
            prompt=prompt,
            now=now,
            form=form,
            rows=form.rows(),
            shown=preview.show(form),
            may_edit=self.has_change_permission(request, prompt),
            may_publish=request.user.has_perm(PUBLISH),
            roles=ROLES,
            kinds=KINDS,
            example=_example(form),
            is_fullwidth="1",
            **context,
        )


def _example(form: VersionForm) -> str:
    """An example of a request body with the prompt."""
    given = {row["name"]: "…" for row in form.rows() if row["left_out"] == MUST}
    prompt = {"id": form.prompt.key, **({"variables": given} if given else {})}
    model = form["model"].value()
    body = {"prompt": prompt} if model else {"model": "…", "prompt": prompt}
    return json.dumps(body, indent=2, ensure_ascii=False)
