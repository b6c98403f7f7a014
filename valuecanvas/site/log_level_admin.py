"""The log level at run time, in the admin."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from valuecanvas.core.admin.bases import Admin, display
from valuecanvas.core.models import LogLevel

FIRST_EXPIRY = timedelta(minutes=30)
LONGEST = timedelta(days=1)


class LogLevelForm(forms.ModelForm):
    """A level and when it ends: the details of a busy day fill disks."""

    class Meta:
        model = LogLevel
        fields = ("level", "expires_at")
        help_texts = {
            "level": "For all processes, within seconds; LOG_LEVEL counts again after.",
            "expires_at": "At most a day from now.",
        }

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        now = timezone.now()
        if not now < expires_at <= now + LONGEST:
            raise ValidationError("Choose a time within the next 24 hours.")
        return expires_at


@admin.register(LogLevel)
class LogLevelAdmin(Admin):
    form = LogLevelForm
    list_display = ("level", "in_force", "expires_at")
    ordering = ("-pk",)
    empty_text = (
        "All processes log at LOG_LEVEL. Add a level to see more or less for a while."
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given = super().get_changeform_initial_data(request)
        return {"expires_at": timezone.now() + FIRST_EXPIRY, **given}

    @display(description="In force", boolean=True)
    def in_force(self, row: LogLevel) -> bool:
        return row.expires_at > timezone.now()
