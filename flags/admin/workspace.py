"""The page of a flag: how it is, its parts as forms, what will come, what happened."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern

from flags.admin import rights
from flags.admin.flag_state import badge
from flags.admin.forms import AudienceForm, DetailsForm, NeedsForm, PercentForm
from flags.admin.rights import actor_of
from flags.admin.rule_form import OrderForm
from flags.admin.schedule_forms import ChangeForm, RampForm
from flags.admin.section import Section
from flags.admin.status import page_of, status, winner
from flags.admin.tester import TesterForm
from flags.admin.variants import VariantsForm
from flags.models import Flag
from valuecanvas.core.errors import Conflict, NotPermitted

SECTIONS: dict[str, type[Section]] = {
    form.key: form
    for form in (
        PercentForm,
        VariantsForm,
        AudienceForm,
        NeedsForm,
        ChangeForm,
        RampForm,
    )
}


class WorkspaceMixin:
    """The change page of the admin of flags."""

    one: Any
    page: Any
    record: Any
    route: Any
    has_change_permission: Any

    def workspace_urls(self) -> list[URLPattern]:
        return [
            self.route(
                "<path:object_id>/details/", self.details_view, "flags_flag_details"
            )
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """GET shows the flag; POST saves the part that `section` names."""
        if request.method != "POST":
            flag = self.one(request, object_id, "view")
            return self.show(request, flag)
        flag = self.one(request, object_id)
        made = SECTIONS.get(request.POST.get("section", ""))
        if made is None:
            return self.show(request, flag, code=422)
        form = made(flag, request.POST)
        anchor = form.anchor or form.key
        done, conflict = self.save(request, form, anchor)
        if done:
            return redirect(f"{page_of(flag)}#{anchor}")
        fresh = Flag.objects.get(pk=flag.pk)
        if conflict:
            form.renew(fresh)
        return self.show(
            request, fresh, bound=form, conflict=conflict, code=409 if conflict else 422
        )

    def save(
        self, request: HttpRequest, form: Section, anchor: str
    ) -> tuple[bool, bool]:
        """Whether it is saved, and whether somebody else was faster.

        It is confirmed in the part of the page that is scrolled to.
        """
        if not form.is_valid():
            return False, False
        try:
            said = form.apply(actor_of(request))
        except ValidationError as error:
            form.refuse(error)
            return False, False
        except NotPermitted as error:
            form.refuse(ValidationError(error.message))
            return False, False
        except Conflict:
            return False, True
        self.record(request, [form.flag], said)
        messages.success(request, said, extra_tags=anchor)
        return True, False

    def details_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Note, owner, expiry, tags and what is rarely changed."""
        flag = self.one(request, object_id)
        form = DetailsForm(flag, request.POST or None)
        return self.decide(
            request, form, "details.html", f"Details of {flag.name}", anchor="top"
        )

    def decide(
        self,
        request: HttpRequest,
        form: Section,
        template: str,
        title: str,
        *,
        anchor: str = "rules",
        **context: Any,
    ) -> HttpResponse:
        """A page with one form of its own; done, back to the flag."""
        flag, conflict = form.flag, False
        if request.method == "POST":
            done, conflict = self.save(request, form, anchor)
            if done:
                return redirect(f"{page_of(flag)}#{anchor}")
            if conflict:
                flag = Flag.objects.get(pk=flag.pk)
                form.renew(flag)
        answer: HttpResponse = self.page(
            request,
            f"admin/flags/flag/{template}",
            title=title,
            original=flag,
            form=form,
            back=page_of(flag),
            winner=winner(flag) if conflict else None,
            status=409 if conflict else 422 if form.errors else 200,
            **context,
        )
        return answer

    def show(
        self,
        request: HttpRequest,
        flag: Flag,
        *,
        bound: Section | None = None,
        conflict: bool = False,
        code: int = 200,
    ) -> HttpResponse:
        forms = {key: made(flag) for key, made in SECTIONS.items()}
        if bound is not None:
            forms[bound.key] = bound
        user = request.user
        answer: HttpResponse = self.page(
            request,
            "admin/flags/flag/workspace.html",
            title=flag.name,
            original=flag,
            flag=flag,
            now=status(flag, all_events="all" in request.GET),
            badge=badge(flag),
            forms=forms,
            tester=TesterForm(),
            order=OrderForm(flag),
            winner=winner(flag) if conflict else None,
            refused=bound.key if bound is not None else "",
            may_edit=self.has_change_permission(request, flag),
            may_kill=user.has_perm(rights.KILL),
            may_delete=user.has_perm(rights.DELETE) and not flag.protected,
            is_fullwidth="1",
            status=code,
        )
        return answer
