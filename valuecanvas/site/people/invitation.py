"""Invites colleagues: the form, the link that is shown once, and the page behind it."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import (
    INTERNAL_RESET_SESSION_TOKEN,
    PasswordResetConfirmView,
)
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy

from valuecanvas.core.access.recent_login import require_recent_login
from valuecanvas.core.admin.bases import NO_STORE
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.admin.pages import ConfirmPage, Page
from valuecanvas.core.admin.shown_once import keep_secret, take_secret
from valuecanvas.core.audit.record import record
from valuecanvas.site.people import accounts
from valuecanvas.site.people.user_form import InvitationForm


def invite(admin: Any, request: HttpRequest) -> HttpResponse:
    """The page 'Invite a colleague'."""
    if not admin.has_add_permission(request):
        raise PermissionDenied
    require_recent_login(request)
    form = InvitationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = accounts.create_invited(**form.cleaned_data)
        admin.log_addition(request, user, "Invited.")
        return _issue_link(request, user)
    answer: HttpResponse = admin.page(
        request,
        "admin/confirm.html",
        title="Invite a colleague",
        text="They get an account of this console and a link that works once, for "
        f"{settings.INVITATION_HOURS} hours, to choose their password.",
        form=form,
        verb="Invite",
        back=reverse("admin:auth_user_changelist"),
        status=422 if form.is_bound else 200,
    )
    return answer


def _issue_link(request: HttpRequest, user: User) -> HttpResponse:
    """Make a link, mail it, and redirect to the page that shows it once."""
    link = request.build_absolute_uri(accounts.make_link(user))
    _record("user.invited", user)
    messages.info(request, accounts.send_link(user, link, str(request.user)))
    keep_secret(request, _owner(user), link)
    return redirect("admin:auth_user_invited", user.pk)


def _record(action: str, user: User) -> None:
    name = user.get_username()
    record(action, kind="auth.user", object_id=str(user.pk), label=name)


def _owner(user: User) -> str:
    return f"invitation {user.pk}"


class InvitedPage(Page):
    """Shows the link, once."""

    name = "invited"

    def answer(self) -> HttpResponse:
        link = take_secret(self.request, _owner(self.original))
        answer = self.show(
            "admin/people/invited.html",
            title="Give them this link" if link else "The link was shown already",
            link=link,
            hours=settings.INVITATION_HOURS,
        )
        answer["Cache-Control"] = NO_STORE
        return answer


class InvitationPage(ConfirmPage):
    """The base of what is done with an invitation; nobody is asked for a reason."""

    form_class = ConsoleForm

    def nothing_to_do(self) -> bool:
        return not accounts.may_be_invited(self.original)

    def context(self, conflict: Any) -> dict[str, Any]:
        begun = "They have begun already: there is no invitation any more."
        return {"text": begun} if self.nothing_to_do() else {}


class NewLinkPage(InvitationPage):
    name = "new_link"
    recent_login = True
    title = "Make a new link"
    text = "Earlier links of this person become void."
    verb = "Make a new link"

    def act(self, form: Any) -> str:
        return "Invited again."

    def finish(self, message: str, **options: Any) -> HttpResponse:
        self.admin.record(self.request, [self.original], message)
        return _issue_link(self.request, self.original)


class WithdrawPage(InvitationPage):
    name = "withdraw"
    title = "Withdraw the invitation"
    text = "The link becomes void and the account is deactivated."
    verb = "Withdraw"
    danger = True

    def act(self, form: Any) -> str:
        accounts.withdraw(self.original)
        _record("user.invitation_withdrawn", self.original)
        return "The invitation was withdrawn."


class Acceptance(PasswordResetConfirmView):
    """The page behind the link: the colleague chooses a password, and logs in then."""

    token_generator = accounts.TOKENS
    template_name = "invitation.html"
    success_url = reverse_lazy("admin:login")

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        # Of two who use the link at once, the second finds it used.
        form.user = User.objects.select_for_update().get(pk=form.user.pk)
        token = self.request.session.get(INTERNAL_RESET_SESSION_TOKEN)
        self.validlink = accounts.TOKENS.check_token(form.user, token)
        if not self.validlink:
            return self.render_to_response(self.get_context_data())
        _record("user.invitation_accepted", form.user)
        messages.success(self.request, "Your password is set. Log in with it now.")
        return super().form_valid(form)
