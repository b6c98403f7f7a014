"""The admin's login form, which locks after too many failures."""

import math
from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from valuecanvas.core.access import address
from valuecanvas.core.access.login_failures import Locked, LoginAttempt
from valuecanvas.site.door.factors import has_factor


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    """A login form; `locked_s` is the remaining lockout in seconds, if locked."""

    locked_s = 0

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username")
        if not username or not self.cleaned_data.get("password"):
            found: dict[str, Any] = super().clean()
            return found
        attempt = LoginAttempt(username, address.of_request(self.request))
        self._begin(attempt)
        try:
            found = super().clean()
        except ValidationError:
            attempt.record_failure()
            raise
        if has_factor(self.get_user()):
            # Else a known password would give new tries at the second factor.
            attempt.take_back()
        else:
            attempt.record_success()
        return found

    def _begin(self, attempt: LoginAttempt) -> None:
        try:
            attempt.begin()
        except Locked as error:
            self.locked_s = error.seconds
            raise ValidationError(locked_text(error.seconds), code="locked") from error


def locked_text(seconds: int) -> str:
    """What a locked form says."""
    return (
        "Too many failed logins to this account or from your address. Even the "
        f"right password is refused now. Try again in {math.ceil(seconds / 60)} min, or "
        "ask an operator to run: manage.py unlock_login"
    )
