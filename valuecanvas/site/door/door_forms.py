"""Forms of the door. Failures of every kind count in one lockout."""

from contextlib import suppress
from typing import Any

from allauth.account.forms import ReauthenticateForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as MfaReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.webauthn.forms import (
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
    SignupWebAuthnForm,
)
from django.contrib.auth.forms import PasswordChangeForm
from django.forms.utils import ErrorDict
from unfold.widgets import UnfoldAdminPasswordWidget

from valuecanvas.core.access import address
from valuecanvas.core.access.login_failures import Locked, LoginAttempt
from valuecanvas.core.admin.forms import ConsoleFields
from valuecanvas.core.crypto import UnreadableSecret
from valuecanvas.site.door.factor_secrets import seal_text, unseal_text
from valuecanvas.site.login import locked_text


class CountedFields(ConsoleFields):
    """A form whose failures are counted, and which refuses while it is locked.

    `locked_s` is the remaining lockout in seconds, if locked.
    """

    locked_s = 0
    user: Any
    is_bound: bool
    cleaned_data: dict[str, Any]

    def full_clean(self) -> None:
        if not self.is_bound:
            self._clean()
            return
        # Nobody knows yet who comes with a passkey alone.
        name = self.user.get_username() if self.user else ""
        attempt = LoginAttempt(name, address.of_request(context.request))
        try:
            attempt.begin()
        except Locked as error:
            self.locked_s = error.seconds
            self._errors, self.cleaned_data = ErrorDict(), {}
            self.add_error(None, locked_text(error.seconds))  # type: ignore[attr-defined]  # a mixin of forms
            return
        self._clean()
        if self._errors:
            attempt.record_failure()
        else:
            attempt.record_success()

    def _clean(self) -> None:
        super().full_clean()  # type: ignore[misc]  # a mixin of forms


class PasswordForm(CountedFields, ReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    """Re-authentication by the password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["password"]
        field.help_text = ""
        field.widget = UnfoldAdminPasswordWidget(
            {"autocomplete": "current-password", "autofocus": True}
        )


class NewPasswordForm(CountedFields, PasswordChangeForm):
    """A new password; the old one is asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = UnfoldAdminPasswordWidget(dict(field.widget.attrs))


class CodeForm(CountedFields, AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The second step of a log-in."""


class ReauthenticateCodeForm(CountedFields, MfaReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    """Re-authentication by a code."""


class PasskeyForm(CountedFields, AuthenticateWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """The second step of a log-in, by a passkey."""


class ReauthenticatePasskeyForm(CountedFields, ReauthenticateWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """Re-authentication by a passkey."""


class PasskeyLoginForm(CountedFields, LoginWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """A log-in by a passkey alone."""


class AddAppForm(ConsoleFields, ActivateTOTPForm):  # type: ignore[misc]  # allauth has no types
    """The first code of an authenticator app.

    Until then allauth keeps the app's secret in the session, in the database: it is sealed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        session = context.request.session
        if sealed := session.pop(SECRET_SESSION_KEY, ""):
            # One that cannot be read is made anew, and its code is wrong.
            with suppress(UnreadableSecret, ValueError):
                session[SECRET_SESSION_KEY] = unseal_text(sealed)
        super().__init__(*args, **kwargs)
        session[SECRET_SESSION_KEY] = seal_text(self.secret)


class AddPasskeyForm(ConsoleFields, SignupWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """A passkey that is enough to log in: it asks for a finger, a face or a PIN."""

    def clean(self) -> Any:
        self.cleaned_data["passwordless"] = True
        return super().clean()


class RenamePasskeyForm(ConsoleFields, EditWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """The name of a passkey."""
