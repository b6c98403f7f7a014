"""Forms of a flag's page: percentage, targets, prerequisites, details."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError

from flags import services
from flags.actor import FlagActor
from flags.admin.section import Section
from flags.documents import integrity
from flags.models import Flag, Purpose
from valuecanvas.core.admin.forms import NamesField, PercentField

EVERYONE = (
    ("", "Decided by the settings below"),
    ("yes", "Yes: everybody gets it"),
    ("no", "No: nobody gets it"),
)
_EVERYONE = {"": None, "yes": True, "no": False}


def names_of(flag: Flag) -> list[str]:
    """The names of its variants; 'on' before 'off'."""
    return sorted(integrity.variants(flag), reverse=flag.kind == "boolean")


def owner_and_expiry(given: dict[str, Any]) -> dict[str, str | None]:
    """These fields of a form as a flag's document has them."""
    owner, end = given["owner"], given["expires_on"]
    return {
        "owner": owner.get_username() if owner else None,
        "expires_on": end.isoformat() if end else None,
    }


def variant_choices(flag: Flag, empty: str) -> list[tuple[str, str]]:
    return [("", empty), *((name, name) for name in names_of(flag))]


class PercentForm(Section):
    key = "rollout"

    percent = PercentField(
        label="Share of users, in percent",
        error_messages={
            "required": "Enter a percentage from 0 to 100; 0 is nobody.",
            "invalid": "A percentage is a number from 0 to 100, such as 12.5.",
        },
    )

    @classmethod
    def initial_values(cls, flag: Flag) -> dict[str, Any]:
        return {"percent": f"{flag.share / 100:g}"}

    def apply(self, actor: FlagActor) -> str:
        percent = self.cleaned_data["percent"]
        services.set_percent(self.flag, percent, **self.why(actor))
        return f"{self.flag.name} now goes to {percent:g} % of users."


class AudienceForm(Section):
    """Targets: who gets the flag whatever the rules say."""

    key = "audience"

    everyone = forms.ChoiceField(
        label="Everybody?",
        choices=EVERYONE,
        required=False,
    )
    user_ids = NamesField(
        label="Users",
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text="Ids of users as programs send them, separated by commas or one per line.",
    )
    tiers = NamesField(
        label="Tiers",
        required=False,
        help_text="Keys of tiers, separated by commas: all their customers.",
    )
    target_variant = forms.ChoiceField(
        label="Variant for them",
        required=False,
    )
    users = NamesField(
        label="Users of this site",
        required=False,
        help_text="Their user names, separated by commas.",
    )
    groups = forms.ModelMultipleChoiceField(
        label="Groups of this site",
        required=False,
        queryset=Group.objects.order_by("name"),
        widget=forms.CheckboxSelectMultiple,
    )
    superusers = forms.BooleanField(required=False)
    staff = forms.BooleanField(required=False)
    authenticated = forms.BooleanField(label="Logged-in users", required=False)
    languages = forms.CharField(
        required=False,
        help_text="Languages of the browser, such as en, de.",
    )
    site = ("users", "superusers", "staff", "authenticated", "languages")

    def __init__(self, flag: Flag, data: Any = None, initial: Any = None) -> None:
        super().__init__(flag, data, initial)
        choices = variant_choices(flag, "By the weights")
        self.fields["target_variant"].choices = choices

    plain = (
        "target_variant",
        "superusers",
        "staff",
        "authenticated",
        "languages",
        "user_ids",
        "tiers",
    )

    @classmethod
    def initial_values(cls, flag: Flag) -> dict[str, Any]:
        return {
            **super().initial_values(flag),
            "everyone": {None: "", True: "yes", False: "no"}[flag.everyone],
            "users": sorted(one.get_username() for one in flag.users.all()),
            "groups": [group.pk for group in flag.groups.all()],
        }

    def apply(self, actor: FlagActor) -> str:
        given = self.cleaned_data
        changes = {
            **self.plain_values(),
            "everyone": _EVERYONE[given["everyone"]],
            "users": sorted(given["users"]),
            "groups": sorted(group.name for group in given["groups"]),
        }
        services.edit_flag(self.flag, changes, **self.why(actor))
        return "The targets are saved."

    def site_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.site]


class NeedsForm(Section):
    """Prerequisites: flags that must give a variant before this one applies."""

    key = "needs"

    def rows(self) -> list[dict[str, str]]:
        """The rows as entered, or as they are saved."""
        if not self.is_bound:
            rows = self.flag.prerequisites.select_related("on").order_by("pk")
            return [{"flag": one.on.name, "variant": one.variant} for one in rows]
        flags, variants = (self.data.getlist(f"need_{n}") for n in ("flag", "variant"))
        pairs = zip(flags, variants, strict=False)
        return [
            {"flag": flag.strip(), "variant": variant.strip() or "on"}
            for flag, variant in pairs
            if flag.strip()
        ]

    def clean(self) -> dict[str, Any]:
        names = [row["flag"] for row in self.rows()]
        if len(names) != len(set(names)):
            raise ValidationError("Name each flag only once.")
        return self.cleaned_data

    def others(self) -> list[str]:
        """The names of flags to choose from."""
        rows = Flag.objects.filter(archived=False).exclude(pk=self.flag.pk)
        return list(rows.order_by("name").values_list("name", flat=True)[:500])

    def apply(self, actor: FlagActor) -> str:
        services.set_prerequisites(self.flag, self.rows(), **self.why(actor))
        return "The prerequisites are saved."


class FlagDetailsForm(Section):
    """Note, owner, expiry, tags, and settings that rarely change."""

    key = "details"

    note = forms.CharField(
        label="What it is for",
        required=False,
        widget=forms.Textarea({"rows": 3}),
    )
    purpose = forms.ChoiceField(choices=Purpose.choices)
    owner = forms.ModelChoiceField(
        required=False,
        queryset=User.objects.filter(is_staff=True).order_by("username"),
        help_text="Whom to ask about it.",
    )
    expires_on = forms.DateField(
        label="Expires on",
        required=False,
        help_text="When the flag and the code that uses it should be removed. After that "
        "the flag still works, and is marked as stale.",
        error_messages={"invalid": "Write a date as 2026-12-31."},
    )
    tags = NamesField(
        required=False,
        help_text="Words to find it by, separated by commas.",
    )
    in_gateway = forms.BooleanField(
        label="Evaluate it for every LLM request",
        required=False,
        help_text="The variant is recorded with the request, and its effect in the "
        "gateway applies.",
    )
    sticky = forms.CharField(
        label="Bucketed by",
        max_length=60,
        help_text="The attribute that decides on shares: “targetingKey” is the user; "
        "“team” gives all of a team the same. A change reassigns the users.",
    )
    testing = forms.BooleanField(
        label="Testers may switch it for themselves",
        required=False,
        help_text="On pages of this site, by adding dwft_NAME=1 to the address.",
    )
    plain = ("note", "purpose", "in_gateway", "sticky", "testing", "tags")

    @classmethod
    def initial_values(cls, flag: Flag) -> dict[str, Any]:
        return {
            **super().initial_values(flag),
            "owner": flag.owner_id,
            "expires_on": flag.expires_on,
        }

    def apply(self, actor: FlagActor) -> str:
        changes = self.plain_values() | owner_and_expiry(self.cleaned_data)
        services.edit_flag(self.flag, changes, **self.why(actor))
        return "The details are saved."
