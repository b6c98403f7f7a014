"""The forms of an API key."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.models import ApiKey, Scope
from billing.models.api_key import SCOPE_RIGHTS, scopes_beyond
from valuecanvas.core.admin.forms import ConsoleFields, ConsoleForm, NamesField

OVERLAPS = (
    (24, "1 day: replace the key where it is used until then"),
    (1, "1 hour"),
    (7 * 24, "7 days"),
    (0, "None: the old key stops now"),
)


class ApiKeyForm(ConsoleFields, forms.ModelForm):
    """The form to issue or edit a key."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=[Scope.LLM.value],
        widget=forms.CheckboxSelectMultiple,
        help_text="Give no more than its user needs. “Name another user” reaches the "
        "users of the customer's team; of a customer without a team, all users who have "
        "neither a team nor an API key (where people sign in with bearer tokens, only "
        "with the scope for them): put callers who must not see each other's users into "
        "teams.",
    )
    allowed_models = NamesField(
        required=False,
        help_text="Model names, separated by commas. Empty: every model.",
    )

    tags = NamesField(
        required=False,
        help_text="Tags of each of its requests, for budgets and reports, separated by "
        "commas.",
    )
    allowed_tags = NamesField(
        required=False,
        label="Further tags",
        help_text="Those that its requests may name in the header x-valuecanvas-tags.",
    )

    class Meta:
        model = ApiKey
        fields = (
            "name",
            "customer",
            "scopes",
            "allowed_models",
            "tags",
            "allowed_tags",
            "expires_at",
            "cache_policy",
            "requests_per_minute",
            "tokens_per_minute",
            "concurrent_requests",
        )

    # The user of the form, set by the admin.
    user: Any = None

    def clean_scopes(self) -> list[str]:
        """Refuse scopes beyond the user's own rights.

        Whoever adds a scope that needs a right becomes the key's issuer, whose rights are
        looked at from then on: so they need the rights for its other scopes, too.
        """
        scopes: list[str] = self.cleaned_data["scopes"]
        added = set(scopes) - set(self.instance.scopes if self.instance.pk else ())
        if not added.isdisjoint(SCOPE_RIGHTS):
            if beyond := scopes_beyond(self.user, sorted(scopes)):
                raise ValidationError(f"Beyond your own rights: {', '.join(beyond)}.")
            self.instance.issuer = self.user.get_username()
        for scope in (Scope.BILL_USER, Scope.ACT_AS_JWT):
            if scope in scopes and Scope.ACT_AS not in scopes:
                raise ValidationError(f"'{scope}' needs 'act_as' beside it.")
        return scopes

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        past = expires_at and expires_at <= timezone.now()
        if past and "expires_at" in self.changed_data:
            raise ValidationError("Choose a time in the future, or revoke the key.")
        return expires_at


class RotateForm(ConsoleForm):
    """How long the old key stays valid."""

    overlap = forms.TypedChoiceField(
        label="The old key stays valid for",
        choices=OVERLAPS,
        coerce=int,
    )
