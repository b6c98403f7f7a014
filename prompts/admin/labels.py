"""Pages that move labels: publish, roll back. Confirmed, with a reason."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern

from prompts import services
from prompts.admin import diff
from prompts.admin.compare import version_of
from prompts.admin.included import newly_needed
from prompts.admin.reason import ReasonForm, told
from prompts.admin.rights import PUBLISH, refuse_unless
from prompts.admin.status import Status, status
from prompts.models import Label, Prompt, PromptVersion
from prompts.models.label import NAME
from prompts.rendering.label_names import LATEST, PRODUCTION, STAGING
from valuecanvas.core.errors import Conflict, NotPermitted


class LabelsMixin:
    """For the admin of prompts."""

    one: Any
    page: Any
    record: Any
    route: Any

    def label_urls(self) -> list[URLPattern]:
        views = (
            ("move", self.move_view),
            ("rollback", self.rollback_view),
        )
        return [
            self.route(f"<path:object_id>/{name}/", view, f"prompts_prompt_{name}")
            for name, view in views
        ]

    # -- move ------------------------------------------------------------------------

    def move_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """`?version=9&label=production`: GET shows what changes, POST moves."""
        refuse_unless(request, PUBLISH)
        prompt = self.one(request, object_id, "view")
        version = version_of(prompt, request.GET.get("version", ""))
        name = _name(request.GET.get("label") or PRODUCTION)
        form = ReasonForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            return self._move_page(request, version, name, form)
        try:
            services.move_label(
                prompt,
                name,
                version,
                expected=form.cleaned_data["expected"],
                actor=services.Actor.of(request.user),
                reason=form.cleaned_data["reason"],
            )
        except Conflict as conflict:
            return self._move_page(request, version, name, form, conflict=conflict)
        except (NotPermitted, ValidationError) as error:
            form.add_error(None, told(error))
            return self._move_page(request, version, name, form)
        self.record(request, [prompt], f"Moved {name} to version {version.number}.")
        messages.success(request, _moved(name, version.number))
        return redirect("admin:prompts_prompt_change", prompt.pk)

    def _move_page(
        self,
        request: HttpRequest,
        version: PromptVersion,
        name: str,
        form: ReasonForm,
        **context: Any,
    ) -> HttpResponse:
        prompt = version.prompt
        labels = list(prompt.labels.select_related("version"))
        label = next((one for one in labels if one.name == name), None)
        current = label.version if label else None
        publish = name == PRODUCTION
        return self._decide(
            request,
            "admin/prompts/prompt/move.html",
            form,
            seen=current.number if current else None,
            title=f"Publish version {version.number}" if publish else f"Move {name}",
            original=prompt,
            version=version,
            label=name,
            publish=publish,
            names=_offered(labels, name),
            moved=_last_move(prompt, name),
            may=services.may_move(services.Actor.of(request.user), name),
            now=status(prompt),
            **_difference(current, version),
            **context,
        )

    # -- roll back -------------------------------------------------------------------

    def rollback_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows what comes back, POST rolls production back to it."""
        refuse_unless(request, PUBLISH)
        prompt = self.one(request, object_id, "view")
        now = status(prompt)
        target = _target(now, request.GET.get("to"))
        form = ReasonForm(request.POST or None)
        if request.method != "POST" or target is None or not form.is_valid():
            return self._rollback_page(request, now, target, form)
        try:
            services.rollback(
                prompt,
                actor=services.Actor.of(request.user),
                reason=form.cleaned_data["reason"],
                to=target.number,
                expected=form.cleaned_data["expected"],
            )
        except Conflict as conflict:
            now = status(prompt)
            return self._rollback_page(request, now, target, form, conflict=conflict)
        except (NotPermitted, ValidationError) as error:
            form.add_error(None, told(error))
            return self._rollback_page(request, now, target, form)
        self.record(request, [prompt], f"Rolled back to version {target.number}.")
        messages.success(
            request,
            f"Rolled back: version {target.number} is live from the next request on.",
        )
        return redirect("admin:prompts_prompt_change", prompt.pk)

    def _rollback_page(
        self,
        request: HttpRequest,
        now: Status,
        target: PromptVersion | None,
        form: ReasonForm,
        **context: Any,
    ) -> HttpResponse:
        live = now.production
        title = f"Roll back to version {target.number}" if target else "Roll back"
        return self._decide(
            request,
            "admin/prompts/prompt/rollback.html",
            form,
            seen=_live(now),
            title=title,
            original=now.prompt,
            version=target,
            label=PRODUCTION,
            moved=now.moved,
            may=services.may_move(services.Actor.of(request.user), PRODUCTION),
            now=now,
            **_difference(live, target),
            **context,
        )

    # -- pages -----------------------------------------------------------------------

    def _decide(
        self,
        request: HttpRequest,
        template: str,
        form: ReasonForm,
        *,
        seen: int | None,
        **context: Any,
    ) -> HttpResponse:
        """A page that asks; the answer comes back with what was `seen`."""
        if form.is_bound:
            shown = {"expected": "" if seen is None else seen}
            form.data = dict(form.data.items()) | shown
        else:
            form.initial["expected"] = seen
        refused = form.is_bound and (context.get("conflict") or form.errors)
        code = (409 if context.get("conflict") else 422) if refused else 200
        answer: HttpResponse = self.page(
            request, template, form=form, status=code, **context
        )
        return answer


def _name(text: str) -> str:
    """A label that can be moved. Raises Http404."""
    name = text.strip()
    try:
        NAME(name)
    except ValidationError as error:
        raise Http404(str(error.messages[0])) from error
    if name == LATEST or len(name) > 40:
        raise Http404("“latest” is always the newest version.")
    return name


def _offered(labels: list[Label], chosen: str) -> list[str]:
    names = [PRODUCTION, STAGING, *(one.name for one in labels), chosen]
    return list(dict.fromkeys(names))


def _last_move(prompt: Prompt, name: str) -> Any:
    return prompt.events.filter(label=name, to_version__isnull=False).first()


def _target(now: Status, asked: str | None) -> PromptVersion | None:
    number = asked or now.previous
    return version_of(now.prompt, number) if number else None


def _live(now: Status) -> int | None:
    return now.production.number if now.production else None


def _difference(old: PromptVersion | None, new: PromptVersion | None) -> dict[str, Any]:
    if old is None or new is None or old.pk == new.pk:
        return {"current": old, "sections": [], "needed": []}
    old = version_of(new.prompt, old.number)  # with its words
    return {
        "current": old,
        "sections": [one for one in diff.sections(old, new) if one.changed],
        "needed": newly_needed(old, new),
    }


def _moved(name: str, number: int) -> str:
    if name == PRODUCTION:
        return f"Version {number} is live from the next request on."
    return f"“{name}” is version {number} from the next request on."
