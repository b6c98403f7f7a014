"""Turn on, turn off, kill, revive, archive: each asks once more, and for a reason."""

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from unfold.widgets import UnfoldAdminTextareaWidget

from flags.admin import rights
from flags.admin.rights import actor_of
from flags.admin.section import text_of
from flags.admin.verbs import VERBS, Verb
from flags.models import Flag
from valuecanvas.core.admin.bases import action
from valuecanvas.core.errors import Conflict, NotPermitted


class WhyForm(forms.Form):
    """Why it is done."""

    reason = forms.CharField(
        label="Why",
        max_length=2000,
        widget=UnfoldAdminTextareaWidget({"rows": 2, "autofocus": True}),
        help_text="Kept in the history, with your name.",
        error_messages={"required": "Say why: the next reader of the history asks."},
    )

    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, verb: Verb, data: Any = None, **options: Any) -> None:
        super().__init__(data, **options)
        why = self.fields["reason"]
        why.required = verb.must_say_why
        if not verb.must_say_why:
            why.help_text = "May stay empty: your name and the time are kept anyway."


class SwitchesMixin:
    """For the admin of flags: pages for one, actions for several."""

    one: Any
    page: Any
    record: Any
    route: Any

    def switch_urls(self) -> list[URLPattern]:
        return [
            self.route(
                f"<path:object_id>/{name}/",
                self._view(verb),
                f"flags_flag_{name}",
            )
            for name, verb in VERBS.items()
        ]

    def _view(self, verb: Verb) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            rights.refuse_unless(request, verb.right)
            flag = self.one(request, object_id, "view")
            data = request.POST if request.method == "POST" else None
            form = WhyForm(verb, data, initial={"expected": flag.revision})
            if request.method == "POST" and form.is_valid():
                if not (faults := self._done(request, verb, form, [flag])):
                    return redirect(_after(request, verb, flag))
                form.add_error(None, faults)
                # Whoever sends it again has read what was in the way.
                form.data = {**form.data.dict(), "expected": _revision(flag)}  # type: ignore[attr-defined]
            return self._confirm(
                request,
                verb,
                form,
                title=f"{verb.title} {flag.name}",
                original=flag,
                back=_after(request, verb, flag, done=False),
            )

        return view

    def _done(
        self, request: HttpRequest, verb: Verb, form: WhyForm, flags: Iterable[Flag]
    ) -> list[str]:
        """Do it to each; what was refused, in words."""
        said: dict[str, Any] = {
            "actor": actor_of(request),
            "reason": form.cleaned_data["reason"],
        }
        seen = form.cleaned_data["expected"]
        if seen is not None and not verb.always:
            said["expected"] = seen
        faults, good = [], []
        for flag in flags:
            try:
                verb.do(flag, said)
            except ValidationError as error:
                faults.append(text_of(error))
            except (Conflict, NotPermitted) as error:
                faults.append(error.message)
            else:
                good.append(flag)
        if good:
            self.record(request, good, f"Now {verb.done}.")
            names = ", ".join(flag.name for flag in good)
            messages.success(
                request,
                f"{names} {'is' if len(good) == 1 else 'are'} {verb.done}, from the "
                "next request on.",
            )
        return faults

    def _confirm(
        self, request: HttpRequest, verb: Verb, form: WhyForm, **context: Any
    ) -> HttpResponse:
        answer: HttpResponse = self.page(
            request,
            "admin/confirm.html",
            text=verb.text,
            verb=f"{verb.title} now" if verb.danger else verb.title,
            danger=verb.danger,
            form=form,
            status=422 if form.errors else 200,
            **context,
        )
        return answer

    # -- several at once, from the list ------------------------------------------------

    def _several(
        self, request: HttpRequest, flags: QuerySet, verb: Verb
    ) -> HttpResponse | None:
        """The page that asks; sent with `sure`, it is done."""
        rows = list(flags.order_by("name"))
        sure = "sure" in request.POST
        form = WhyForm(verb, request.POST if sure else None)
        if sure and form.is_valid():
            for fault in self._done(request, verb, form, rows):
                messages.error(request, fault)
            return None
        chosen = [("_selected_action", flag.pk) for flag in rows]
        many = f"{len(rows)} flags" if len(rows) != 1 else rows[0].name
        return self._confirm(
            request,
            verb,
            form,
            title=f"{verb.title}: {many}",
            rows=[flag.name for flag in rows],
            hidden=[
                ("action", f"{verb.name}_flags"),
                ("sure", "yes"),
                *chosen,
            ],
            back=reverse("admin:flags_flag_changelist"),
        )

    @action(description="Turn on", permissions=["change"])
    def enable_flags(self, request: HttpRequest, flags: QuerySet) -> Any:
        return self._several(request, flags, VERBS["enable"])

    @action(description="Turn off", permissions=["change"])
    def disable_flags(self, request: HttpRequest, flags: QuerySet) -> Any:
        return self._several(request, flags, VERBS["disable"])

    @action(description="Kill", permissions=["kill"])
    def kill_flags(self, request: HttpRequest, flags: QuerySet) -> Any:
        return self._several(request, flags, VERBS["kill"])

    @action(description="Revive", permissions=["kill"])
    def revive_flags(self, request: HttpRequest, flags: QuerySet) -> Any:
        return self._several(request, flags, VERBS["revive"])

    @action(description="Archive", permissions=["change"])
    def archive_flags(self, request: HttpRequest, flags: QuerySet) -> Any:
        return self._several(request, flags, VERBS["archive"])

    def has_kill_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.KILL)


def _revision(flag: Flag) -> int | None:
    """As it is now; None: it has gone."""
    rows = Flag.objects.filter(pk=flag.pk)
    found: int | None = rows.values_list("revision", flat=True).first()
    return found


def _after(request: HttpRequest, verb: Verb, flag: Flag, *, done: bool = True) -> str:
    """Back to where one came from: the list, or the flag's page."""
    gone = done and verb.name == "delete"
    if gone or request.GET.get("from") == "list":
        return reverse("admin:flags_flag_changelist")
    return reverse("admin:flags_flag_change", args=[flag.pk])
