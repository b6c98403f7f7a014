"""Turn on, turn off, kill, revive, archive: each asks once more, and for a reason."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from flags import services
from flags.actor import FlagActor
from flags.admin import rights
from flags.admin.rights import actor_of
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
    """Something that is done to whole flags: to one by this page, or to several."""

    needs = "view"
    right = rights.CHANGE
    done_as: ClassVar[str]
    service: ClassVar[Callable[..., object]]
    # Where seconds count, the reason can wait.
    must_say_why = True
    # Done also if somebody changed the flag meanwhile: it can only make things safe.
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
        """The form, for one flag or for several."""
        form = ReasonForm(data, initial=initial)
        reason = form.fields["reason"]
        reason.label, reason.required = "Why", cls.must_say_why
        if not cls.must_say_why:
            reason.help_text = "May stay empty: your name and the time are kept anyway."
        return form

    @classmethod
    def switch(cls, flag: Flag, form: ReasonForm, actor: FlagActor) -> None:
        """Do it to one. Raises REFUSALS."""
        said: dict[str, Any] = {"reason": form.cleaned_data["reason"]}
        seen = form.cleaned_data["expected"]
        if seen is not None and not cls.always:
            said["expected"] = seen
        cls.service(flag, actor=actor, **said)

    @classmethod
    def confirmation(cls, flags: list[Flag]) -> str:
        names = ", ".join(flag.name for flag in flags)
        verb = "is" if len(flags) == 1 else "are"
        return f"{names} {verb} {cls.done_as}, from the next request on."

    def expected(self) -> int:
        revision: int = self.original.revision
        return revision

    def form(self, data: Any) -> ReasonForm:
        return self.why(data, expected=self.expected())

    def act(self, form: ReasonForm) -> str:
        self.switch(self.original, form, actor_of(self.request))
        return self.confirmation([self.original])

    def log(self, message: str) -> str:
        return f"Now {self.done_as}."

    def back(self) -> str:
        """Where one came from: the list, or the flag's page."""
        listed = self.request.GET.get("from") == "list"
        return reverse(FLAGS) if listed else super().back()


class EnablePage(SwitchPage):
    name = "enable"
    verb = "Turn on"
    done_as = "on"
    text = "From the next request on its rules and its percentage count."
    service = staticmethod(services.enable)


class DisablePage(SwitchPage):
    name = "disable"
    verb = "Turn off"
    done_as = "off"
    text = (
        "From the next request on everybody gets what is set for “while off”. "
        "Rules, percentages and schedules stay as they are for later."
    )
    service = staticmethod(services.disable)
    always = True


class KillPage(SwitchPage):
    name = "kill"
    verb = "Kill"
    done_as = "killed"
    text = (
        "From the next request on everybody gets what is set for “while off”, "
        "whatever else it says, until somebody revives it. Its scheduled changes "
        "are cancelled."
    )
    service = staticmethod(services.kill)
    right = rights.KILL
    danger = True
    must_say_why = False
    always = True


class RevivePage(SwitchPage):
    name = "revive"
    verb = "Revive"
    done_as = "alive again"
    text = (
        "It goes on where it was before it was killed. What was scheduled then "
        "stays cancelled."
    )
    service = staticmethod(services.revive)
    right = rights.KILL


class ArchivePage(SwitchPage):
    name = "archive"
    verb = "Archive"
    done_as = "archived"
    text = (
        "Programs that ask for it get their own default from the next request on. "
        "Nothing is deleted: it can be brought back."
    )
    service = staticmethod(services.archive)
    danger = True


class RestorePage(SwitchPage):
    name = "restore"
    verb = "Bring back"
    done_as = "in use again"
    text = "From the next request on programs get it as it was."
    service = staticmethod(services.restore)


class Delete(SwitchPage):
    name = "delete"
    verb = "Delete"
    done_as = "deleted"
    text = (
        "It is gone for good; its history stays. Programs that ask for it get "
        "their own default. Archiving does the same, and can be undone."
    )
    service = staticmethod(services.delete_flag)
    right = rights.DELETE
    danger = True

    def after(self) -> str:
        return reverse(FLAGS)


SWITCHES = (
    EnablePage,
    DisablePage,
    KillPage,
    RevivePage,
    ArchivePage,
    RestorePage,
    Delete,
)


def for_several(page: type[SwitchPage]) -> Any:
    """The action of the list that does the same to all that are chosen."""

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
    actor, good = actor_of(request), []
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
