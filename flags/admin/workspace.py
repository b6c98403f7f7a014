"""The page of a flag: its state, a form for each section, schedule and history."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from flags.admin import rights
from flags.admin.forms import AudienceForm, FlagDetailsForm, NeedsForm, PercentForm
from flags.admin.rule_form import OrderForm
from flags.admin.schedule_forms import ChangeForm, RampForm
from flags.admin.section import FlagPage, Section
from flags.admin.status import status, winner
from flags.admin.tester import TesterForm
from flags.admin.variants import VariantsForm
from flags.models import Flag
from flags.wording.listing import badge
from valuecanvas.core.admin.bases import Admin
from valuecanvas.core.errors import Conflict

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


class FlagDetailsPage(FlagPage):
    """Note, owner, expiry, tags, and settings that rarely change."""

    name = "details"
    template = "admin/flags/flag/details.html"
    form_class = FlagDetailsForm
    anchor = "top"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = f"Details of {self.original.name}"


class SectionPage(FlagPage):
    """Saves one section of the flag's page; errors are shown on that page."""

    def ask(self, form: Any, conflict: Conflict | None = None) -> HttpResponse:
        fresh = Flag.objects.get(pk=self.original.pk)
        code = 409 if conflict else 422
        answer: HttpResponse = self.admin.show(
            self.request, fresh, bound=form, conflict=conflict, code=code
        )
        return answer


class FlagWorkspaceAdmin(Admin):
    """The change page of the admin of flags."""

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """GET shows the flag; POST saves the part that `section` names."""
        if request.method != "POST":
            return self.show(request, self.find_object(request, object_id, "view"))
        flag = self.find_object(request, object_id)
        made = SECTIONS.get(request.POST.get("section", ""))
        if made is None:
            return self.show(request, flag, code=422)
        part = SectionPage(self, request, flag)
        part.form_class, part.anchor = made, made.anchor or made.key
        return part.answer()

    def show(
        self,
        request: HttpRequest,
        flag: Flag,
        *,
        bound: Section | None = None,
        conflict: Conflict | None = None,
        code: int = 200,
    ) -> HttpResponse:
        forms = {key: made(flag) for key, made in SECTIONS.items()}
        if bound is not None:
            forms[bound.key] = bound
        user = request.user
        return self.page(
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
