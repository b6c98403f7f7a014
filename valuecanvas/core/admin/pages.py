"""Pages of an admin's object under URLs of their own; those that ask why, and act."""

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
from django.urls import URLPattern, reverse
from django.views.decorators.http import require_POST

from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.errors import Conflict, GatewayError


def post_only(view: Callable[..., HttpResponse], page: str) -> Callable[..., Any]:
    """Only POST reaches `view`; who looks, after a log-in or by an old link, goes to `page`.

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
    """Why something is done, and what the operator saw when deciding."""

    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea({"rows": 2, "autofocus": True}),
        help_text="Kept in the history, with your name.",
        error_messages={"required": "Say why: the next reader of the history asks."},
    )
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)


# What services raise where something may not be, or where somebody else was faster.
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
    """What came of a form: `said` once it is done, or that somebody was faster."""

    said: str = ""
    conflict: Conflict | None = None


def attempt(form: forms.Form, act: Callable[[], str]) -> Outcome:
    """`act` if the form is right. What is refused is shown in the form."""
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
    """Keep what was entered; whoever sends it again has seen `expected`."""
    form.data = form.data.copy()
    form.data["expected"] = "" if expected is None else str(expected)


class Page:
    """A page of one object. An admin lists its own as `pages`."""

    # Templates are given the class itself, not an instance.
    do_not_call_in_templates = True
    # Of the URL: its name after that of the model, and its end unless that is the same.
    name: ClassVar[str]
    url: ClassVar[str] = ""
    # What one must be able to do with the object: view or change it; another right.
    needs: ClassVar[str] = "change"
    right: ClassVar[str] = ""
    post_only: ClassVar[bool] = False

    def __init__(self, admin: Any, request: HttpRequest, original: Any) -> None:
        self.admin, self.request, self.original = admin, request, original

    @classmethod
    def route(cls, admin: Any) -> URLPattern:
        """Its URL, below that of the object."""
        model = f"{admin.opts.app_label}_{admin.opts.model_name}"

        def view(request: HttpRequest, object_id: str, **found: Any) -> HttpResponse:
            if cls.right:
                refuse_unless(request, cls.right)
            original = admin.one(request, object_id, cls.needs)
            return cls(admin, request, original, **found).answer()

        end = cls.url or f"{cls.name}/"
        found: URLPattern = admin.route(
            f"<path:object_id>/{end}",
            post_only(view, f"{model}_change") if cls.post_only else view,
            f"{model}_{cls.name}",
        )
        return found

    def answer(self) -> HttpResponse:
        raise NotImplementedError

    def show(self, template: str, **context: Any) -> HttpResponse:
        """`template` in the admin's frame."""
        found: HttpResponse = self.admin.page(
            self.request,
            template,
            **{"original": self.original, "back": self.back(), **context},
        )
        return found

    def fragment(self, template: str, **context: Any) -> HttpResponse:
        """`template` without a frame, for a part of another page."""
        return render(self.request, template, context)

    def back(self) -> str:
        """The object's own page."""
        opts = self.admin.opts
        return reverse(
            f"admin:{opts.app_label}_{opts.model_name}_change", args=[self.original.pk]
        )


class ConfirmPage(Page):
    """Asks once more, and for a reason; POST does it.

    A subclass a verb: it says its words, and does it in `act`. Where somebody else was
    faster, nothing is done, and the page is shown as it is now.
    """

    template: ClassVar[str] = "admin/confirm.html"
    title: str = ""
    text: str = ""
    verb: str = ""
    danger: bool = False
    form_class: type[forms.Form] = ReasonForm
    # The page shows itself who was faster, with status 409; else the form says so.
    shows_conflict: ClassVar[bool] = False

    def act(self, form: Any) -> str:
        """Do it, and say so. Raises Conflict, ValidationError and GatewayError."""
        raise NotImplementedError

    def expected(self) -> int | None:
        """What the operator sees: it is done only if that is still so."""
        return None

    def nothing_to_do(self) -> bool:
        """Whether the page has no more to say than that."""
        return False

    def form(self, data: Any) -> Any:
        return self.form_class(data, initial={"expected": self.expected()})

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        """What its template is given besides its words and its form."""
        return {}

    def log(self, said: str) -> str:
        """What the audit says that was done."""
        return said

    def after(self) -> str:
        """Where to go once it is done."""
        return self.back()

    def answer(self) -> HttpResponse:
        if self.request.method != "POST" or self.nothing_to_do():
            return self.ask(self.form(None))
        form = self.form(self.request.POST)
        outcome = attempt(form, lambda: self.act(form))
        if outcome.said:
            return self.done(outcome.said)
        if outcome.conflict:
            rows = type(self.original)._default_manager.filter(pk=self.original.pk)
            self.original = rows.first() or self.original
            renew(form, self.expected())
            if not self.shows_conflict:
                form.add_error(None, outcome.conflict.message)
        return self.ask(form, outcome.conflict)

    def done(self, said: str, **options: Any) -> HttpResponse:
        """Written into the audit, and said on the page that comes next."""
        self.admin.record(self.request, [self.original], self.log(said))
        messages.success(self.request, said, **options)
        return redirect(self.after())

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
