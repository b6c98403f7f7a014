"""The parts of a flag's page: percentage, who is named, what it needs, details."""

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
    ("", "Decide by what is below"),
    ("yes", "Yes: everybody gets it, whatever is below"),
    ("no", "No: nobody gets it"),
)
_EVERYONE = {"": None, "yes": True, "no": False}


def names_of(flag: Flag) -> list[str]:
    """Its variants; 'on' before 'off'."""
    return sorted(integrity.variants(flag), reverse=flag.kind == "boolean")


def variant_choices(flag: Flag, empty: str) -> list[tuple[str, str]]:
    return [("", empty), *((name, name) for name in names_of(flag))]


class PercentForm(Section):
    key = "rollout"

    percent = PercentField(
        label="Share of users, in percent",
        error_messages={
            "required": "Say a percentage from 0 to 100; 0 is nobody.",
            "invalid": "A percentage is a number from 0 to 100, such as 12.5.",
        },
    )

    @staticmethod
    def seen(flag: Flag) -> dict[str, Any]:
        return {"percent": f"{flag.share / 100:g}"}

    def apply(self, actor: FlagActor) -> str:
        percent = self.cleaned_data["percent"]
        services.set_percent(self.flag, percent, **self.said(actor))
        return f"{self.flag.name} now goes to {percent:g} % of users."


class AudienceForm(Section):
    """Who gets it in any case."""

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
        help_text="Ids of users as programs send them, with commas or line by line.",
    )
    tiers = NamesField(
        label="Tiers",
        required=False,
        help_text="Keys of tiers, with commas: all of their customers.",
    )
    target_variant = forms.ChoiceField(
        label="They get",
        required=False,
    )
    users = NamesField(
        label="Users of this site",
        required=False,
        help_text="Their user names, with commas.",
    )
    groups = forms.ModelMultipleChoiceField(
        label="Groups of this site",
        required=False,
        queryset=Group.objects.order_by("name"),
        widget=forms.CheckboxSelectMultiple,
    )
    superusers = forms.BooleanField(required=False)
    staff = forms.BooleanField(required=False)
    authenticated = forms.BooleanField(label="Whoever has logged in", required=False)
    languages = forms.CharField(
        required=False,
        help_text="Of the browser, such as en, de.",
    )
    site = ("users", "superusers", "staff", "authenticated", "languages")

    def __init__(self, flag: Flag, data: Any = None, initial: Any = None) -> None:
        super().__init__(flag, data, initial)
        choices = variant_choices(flag, "What the weights say")
        self.fields["target_variant"].choices = choices

    _plain = (
        "target_variant",
        "superusers",
        "staff",
        "authenticated",
        "languages",
        "user_ids",
        "tiers",
    )

    @staticmethod
    def seen(flag: Flag) -> dict[str, Any]:
        return {
            **{name: getattr(flag, name) for name in AudienceForm._plain},
            "everyone": {None: "", True: "yes", False: "no"}[flag.everyone],
            "users": sorted(one.get_username() for one in flag.users.all()),
            "groups": [group.pk for group in flag.groups.all()],
        }

    def apply(self, actor: FlagActor) -> str:
        given = self.cleaned_data
        changes = {
            **{name: given[name] for name in self._plain},
            "everyone": _EVERYONE[given["everyone"]],
            "users": sorted(given["users"]),
            "groups": sorted(group.name for group in given["groups"]),
        }
        services.edit_flag(self.flag, changes, **self.said(actor))
        return "Who gets it in any case is saved."

    def site_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.site]


class NeedsForm(Section):
    """Flags that must have given a variant before this one counts."""

    key = "needs"

    def rows(self) -> list[dict[str, str]]:
        """As entered, else as they are."""
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
            raise ValidationError("Each other flag can be named once only.")
        return self.cleaned_data

    def others(self) -> list[str]:
        """What can be chosen."""
        rows = Flag.objects.filter(archived=False).exclude(pk=self.flag.pk)
        return list(rows.order_by("name").values_list("name", flat=True)[:500])

    def apply(self, actor: FlagActor) -> str:
        services.set_prerequisites(self.flag, self.rows(), **self.said(actor))
        return "What it needs is saved."


class FlagDetailsForm(Section):
    """What is for people, and what is rarely changed."""

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
        help_text="When it, and the code that asks for it, should be gone. It goes on "
        "working; it is marked as stale.",
        error_messages={"invalid": "Write a date as 2026-12-31."},
    )
    tags = NamesField(
        required=False,
        help_text="Words to find it by, with commas.",
    )
    in_gateway = forms.BooleanField(
        label="Evaluate it for every LLM request",
        required=False,
        help_text="The variant is recorded with the request's usage, and what it "
        "changes in the gateway takes effect.",
    )
    sticky = forms.CharField(
        label="Bucketed by",
        max_length=60,
        help_text="The attribute that decides on shares: “targetingKey” is the user; "
        "“team” gives all of a team the same. Changing it deals the shares anew.",
    )
    testing = forms.BooleanField(
        label="Testers may switch it for themselves",
        required=False,
        help_text="On pages of this site, by adding dwft_NAME=1 to the address.",
    )
    _plain = ("note", "purpose", "in_gateway", "sticky", "testing", "tags")

    @staticmethod
    def seen(flag: Flag) -> dict[str, Any]:
        return {
            **{name: getattr(flag, name) for name in FlagDetailsForm._plain},
            "owner": flag.owner_id,
            "expires_on": flag.expires_on,
        }

    def apply(self, actor: FlagActor) -> str:
        given = self.cleaned_data
        changes = {
            **{name: given[name] for name in self._plain},
            "owner": given["owner"].get_username() if given["owner"] else None,
            "expires_on": given["expires_on"].isoformat()
            if given["expires_on"]
            else None,
        }
        services.edit_flag(self.flag, changes, **self.said(actor))
        return "The details are saved."
