"""Further pages of an admin's object, and pages that confirm an action with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern
from django.views.decorators.http import require_POST

from valuecanvas.core.access.recent_login import require_recent_login
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.errors import Conflict, GatewayError


def post_only(view: Callable[..., HttpResponseBase], page: str) -> Callable[..., Any]:
    """Allow only POST; a GET, after a log-in or by an old link, is redirected to `page`.

    `page` is named, and takes the first argument of the view's URL.
    """

    @wraps(view)
    def only(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            return redirect(f"admin:{page}", *[*args, *kwargs.values()][:1])
        return require_POST(view)(request, *args, **kwargs)

    return only


def refuse_unless(request: HttpRequest, right: str) -> None:
    """Raises PermissionDenied."""
    if not request.user.has_perm(right):
        raise PermissionDenied


class ReasonForm(ConsoleForm):
    """The reason for an action, and the version that the operator saw."""

    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea({"rows": 2, "autofocus": True}),
        help_text="Kept in the history, with your name.",
        error_messages={"required": "Give a reason: it is kept in the history."},
    )
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)


# What services raise for invalid input, missing rights and conflicts.
REFUSALS = (ValidationError, GatewayError)


def refusal_text(error: Exception) -> str:
    """One of REFUSALS in one line."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return str(getattr(error, "message", error))


def refuse(form: Any, error: Exception) -> None:
    """Show one of REFUSALS in `form`, beside its fields if it is about some."""
    if not isinstance(error, ValidationError):
        form.add_error(None, refusal_text(error))
    elif not hasattr(error, "error_dict"):
        form.add_error(None, error.messages)
    else:
        for name, texts in error.message_dict.items():
            form.add_error(name if name in form.fields else None, texts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a form: `message` once it is done, or a conflict."""

    message: str = ""
    conflict: Conflict | None = None


def attempt(form: forms.Form, act: Callable[[], str]) -> Outcome:
    """Run `act` if the form is valid. A refusal is shown in the form."""
    if not form.is_valid():
        return Outcome()
    try:
        return Outcome(act())
    except Conflict as conflict:
        return Outcome(conflict=conflict)
    except REFUSALS as error:
        refuse(form, error)
    return Outcome()


def renew(form: Any, expected: object) -> None:
    """Keep the input, and set the version `expected` for the next attempt."""
    form.data = form.data.copy()
    form.data["expected"] = "" if expected is None else str(expected)


class Page:
    """A page of one object. An admin lists its own as `pages`."""

    # Templates are given the class itself, not an instance.
    do_not_call_in_templates = True
    # The URL's name (after the model's) and its last part, if that differs.
    name: ClassVar[str]
    url: ClassVar[str] = ""
    # The permission needed on the object (view or change), and a further right.
    needs: ClassVar[str] = "change"
    right: ClassVar[str] = ""
    post_only: ClassVar[bool] = False
    # Whether it needs a proof of identity of the last minutes.
    recent_login: ClassVar[bool] = False

    def __init__(self, admin: Any, request: HttpRequest, original: Any) -> None:
        self.admin, self.request, self.original = admin, request, original

    @classmethod
    def route(cls, admin: Any) -> URLPattern:
        """Its URL, below that of the object."""
        model = f"{admin.opts.app_label}_{admin.opts.model_name}"

        def view(
            request: HttpRequest, object_id: str, **found: Any
        ) -> HttpResponseBase:
            if cls.right:
                refuse_unless(request, cls.right)
            original = admin.find_object(request, object_id, cls.needs)
            if cls.recent_login:
                require_recent_login(request)
            return cls(admin, request, original, **found).answer()

        end = cls.url or f"{cls.name}/"
        found: URLPattern = admin.route(
            f"<path:object_id>/{end}",
            post_only(view, f"{model}_change") if cls.post_only else view,
            f"{model}_{cls.name}",
        )
        return found

    def answer(self) -> HttpResponseBase:
        """Answer the request."""
        raise NotImplementedError

    def show(self, template: str, **context: Any) -> HttpResponse:
        """Render `template` with the admin's header and sidebar."""
        found: HttpResponse = self.admin.page(
            self.request,
            template,
            **{"original": self.original, "back": self.back_url(), **context},
        )
        return found

    def fragment(self, template: str, **context: Any) -> HttpResponse:
        """Render `template` alone, as a part of another page."""
        return render(self.request, template, context)

    def back_url(self) -> str:
        """The object's own page."""
        found: str = self.admin.change_url(self.original)
        return found


class ConfirmPage(Page):
    """Asks for confirmation and a reason; POST does the action.

    Each action is a subclass with its texts and `act`. After a conflict nothing is done,
    and the page is shown again with the current state.
    """

    template: ClassVar[str] = "admin/confirm.html"
    title: str = ""
    text: str = ""
    verb: str = ""
    danger: bool = False
    form_class: type[forms.Form] = ReasonForm
    # True: the page itself shows the conflict, with status 409; else the form does.
    shows_conflict: ClassVar[bool] = False

    def act(self, form: Any) -> str:
        """Do it and return a message. Raises Conflict, ValidationError and GatewayError."""
        raise NotImplementedError

    def expected_version(self) -> int | None:
        """The version that the operator sees; the action is done only if it is unchanged."""
        return None

    def nothing_to_do(self) -> bool:
        """Whether there is nothing to do; the page then only says so."""
        return False

    def form(self, data: Any) -> Any:
        return self.form_class(data, initial={"expected": self.expected_version()})

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        """The template's context besides the texts and the form."""
        return {}

    def log(self, message: str) -> str:
        """The text for the audit log."""
        return message

    def next_url(self) -> str:
        """The URL to redirect to once it is done."""
        return self.back_url()

    def answer(self) -> HttpResponse:
        if self.request.method != "POST" or self.nothing_to_do():
            return self.ask(self.form(None))
        form = self.form(self.request.POST)
        outcome = attempt(form, lambda: self.act(form))
        if outcome.message:
            return self.finish(outcome.message)
        if outcome.conflict:
            rows = type(self.original)._default_manager.filter(pk=self.original.pk)
            self.original = rows.first() or self.original
            renew(form, self.expected_version())
            if not self.shows_conflict:
                form.add_error(None, outcome.conflict.message)
        return self.ask(form, outcome.conflict)

    def finish(self, message: str, **options: Any) -> HttpResponse:
        """Write the audit log, and show the message on the next page."""
        self.admin.record(self.request, [self.original], self.log(message))
        messages.success(self.request, message, **options)
        return redirect(self.next_url())

    def ask(self, form: Any, conflict: Conflict | None = None) -> HttpResponse:
        status = (
            (409 if conflict and self.shows_conflict else 422) if form.is_bound else 200
        )
        words = ("title", "text", "verb", "danger")
        context = {
            "form": form,
            **{name: getattr(self, name) for name in words},
            **self.context(conflict),
        }
        return self.show(self.template, status=status, **context)
