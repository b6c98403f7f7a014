"""Pages that turn a flag on or off, kill, revive, archive: each asks for a reason."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from flags import services
from flags.actor import FlagActor
from flags.admin import rights
from flags.admin.rights import request_actor
from flags.models import Flag
from valuecanvas.core.admin.bases import Admin, action
from valuecanvas.core.admin.pages import (
    REFUSALS,
    ConfirmPage,
    ReasonForm,
    refusal_text,
)

FLAGS = "admin:flags_flag_changelist"


class SwitchPage(ConfirmPage):
    """An action on whole flags: on one by this page, or on several by the list."""

    needs = "view"
    right = rights.CHANGE
    done_as: ClassVar[str]
    service: ClassVar[Callable[..., object]]
    # In an emergency the reason may be left out.
    must_say_why = True
    # Done even if the flag was changed meanwhile: it can only make things safer.
    always = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = f"{self.verb} {self.original.name}"
        self.verb = self.button()

    @classmethod
    def button(cls) -> str:
        return f"{cls.verb} now" if cls.danger else cls.verb

    @classmethod
    def why(cls, data: Any, **initial: Any) -> ReasonForm:
        """The form that asks for the reason, for one flag or for several."""
        form = ReasonForm(data, initial=initial)
        reason = form.fields["reason"]
        reason.label, reason.required = "Why", cls.must_say_why
        if not cls.must_say_why:
            reason.help_text = (
                "May be empty: your name and the time are kept in any case."
            )
        return form

    @classmethod
    def switch(cls, flag: Flag, form: ReasonForm, actor: FlagActor) -> None:
        """Switch one flag. Raises REFUSALS."""
        given = form.cleaned_data
        expected = None if cls.always else given["expected"]
        cls.service(flag, actor=actor, reason=given["reason"], expected=expected)

    @classmethod
    def confirmation(cls, flags: list[Flag]) -> str:
        names = ", ".join(flag.name for flag in flags)
        verb = "is" if len(flags) == 1 else "are"
        return f"{names} {verb} {cls.done_as}, from the next request on."

    def expected_version(self) -> int:
        revision: int = self.original.revision
        return revision

    def form(self, data: Any) -> ReasonForm:
        return self.why(data, expected=self.expected_version())

    def act(self, form: ReasonForm) -> str:
        self.switch(self.original, form, request_actor(self.request))
        return self.confirmation([self.original])

    def log(self, message: str) -> str:
        return f"Now {self.done_as}."

    def back_url(self) -> str:
        """The page to return to: the list, or the flag's page."""
        listed = self.request.GET.get("from") == "list"
        return reverse(FLAGS) if listed else super().back_url()


class EnablePage(SwitchPage):
    name = "enable"
    verb = "Turn on"
    done_as = "on"
    text = "From the next request on, its rules and its percentage apply."
    service = staticmethod(services.enable)


class DisablePage(SwitchPage):
    name = "disable"
    verb = "Turn off"
    done_as = "off"
    text = (
        "From the next request on, everybody gets the off variant. Rules, percentages "
        "and schedules are kept."
    )
    service = staticmethod(services.disable)
    always = True


class KillPage(SwitchPage):
    name = "kill"
    verb = "Kill"
    done_as = "killed"
    text = (
        "From the next request on, everybody gets the off variant, whatever its "
        "settings say, until somebody revives it. Its scheduled changes are cancelled."
    )
    service = staticmethod(services.kill)
    right = rights.KILL
    danger = True
    must_say_why = False
    always = True


class RevivePage(SwitchPage):
    name = "revive"
    verb = "Revive"
    done_as = "revived"
    text = (
        "The flag works again as before it was killed. Its scheduled changes stay "
        "cancelled."
    )
    service = staticmethod(services.revive)
    right = rights.KILL


class ArchivePage(SwitchPage):
    name = "archive"
    verb = "Archive"
    done_as = "archived"
    text = (
        "From the next request on, programs get their own default. Nothing is deleted: "
        "the flag can be restored."
    )
    service = staticmethod(services.archive)
    danger = True


class RestorePage(SwitchPage):
    name = "restore"
    verb = "Restore"
    done_as = "restored"
    text = "From the next request on, programs get the flag again as before."
    service = staticmethod(services.restore)


class DeletePage(SwitchPage):
    name = "delete"
    verb = "Delete"
    done_as = "deleted"
    text = (
        "This cannot be undone; the history stays. Programs get their own default. "
        "Archiving does the same, and can be undone."
    )
    service = staticmethod(services.delete_flag)
    right = rights.DELETE
    danger = True

    def next_url(self) -> str:
        return reverse(FLAGS)


SWITCHES = (
    EnablePage,
    DisablePage,
    KillPage,
    RevivePage,
    ArchivePage,
    RestorePage,
    DeletePage,
)


def for_several(page: type[SwitchPage]) -> Any:
    """The action of the list that does the same to all selected flags."""

    permission = "kill" if page.right == rights.KILL else "change"

    @action(description=page.verb, permissions=[permission])
    def switch(
        admin: Admin, request: HttpRequest, flags: QuerySet
    ) -> HttpResponse | None:
        rows = list(flags.order_by("name"))
        sure = "confirmed" in request.POST
        form = page.why(request.POST if sure else None)
        if sure and form.is_valid():
            _switch_all(page, admin, request, form, rows)
            return None
        many = f"{len(rows)} flags" if len(rows) != 1 else rows[0].name
        return admin.ask_for(
            request,
            f"{page.name}_flags",
            rows,
            title=f"{page.verb}: {many}",
            text=page.text,
            verb=page.button(),
            danger=page.danger,
            rows=[flag.name for flag in rows],
            form=form,
            status=422 if form.errors else 200,
        )

    switch.__name__ = f"{page.name}_flags"
    return switch


def _switch_all(
    page: type[SwitchPage],
    admin: Admin,
    request: HttpRequest,
    form: ReasonForm,
    flags: list[Flag],
) -> None:
    actor, good = request_actor(request), []
    for flag in flags:
        try:
            page.switch(flag, form, actor)
        except REFUSALS as error:
            messages.error(request, refusal_text(error))
        else:
            good.append(flag)
    if good:
        admin.record(request, good, f"Now {page.done_as}.")
        messages.success(request, page.confirmation(good))
