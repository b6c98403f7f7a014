"""Bodies of requests and responses of the endpoints of flags."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers as s

from flags.documents import document
from flags.models import ChangeKind, Flag, FlagEvent, FlagKind, Purpose, ScheduledChange
from flags.wording import listing
from valuecanvas.core.api.bodies import (
    Choice,
    Day,
    GivenReason,
    JsonField,
    JsonObjectField,
    Percent,
    StrictSerializer,
    Text,
)


class GivenChangeReason(GivenReason):
    """The reason, and the revision that the caller wants to change."""

    expected_revision = s.IntegerField(
        required=False,
        min_value=0,
        help_text="The revision that you saw: 409 if the flag was changed since.",
    )


class GivenVariant(StrictSerializer):
    name = s.CharField(max_length=60)
    value = JsonField(help_text="A value of the flag's kind.")
    weight = s.IntegerField(
        required=False, min_value=0, max_value=10_000, help_text="10000 is 100 %."
    )
    effect = JsonObjectField(
        required=False, help_text="In the gateway: prompt_label, model, parameters."
    )
    description = Text()


class GivenCondition(StrictSerializer):
    attribute = s.CharField(max_length=200)
    operator = s.CharField(max_length=40)
    value = JsonField(required=False, allow_null=True)


class GivenRule(StrictSerializer):
    name = Text(100)
    conditions = GivenCondition(many=True)
    variant = Text(60)
    share = s.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=10_000
    )
    enabled = s.BooleanField(required=False)


class GivenPrerequisite(StrictSerializer):
    flag = s.CharField(max_length=100)
    variant = s.CharField(max_length=60)


class Fields(StrictSerializer):
    """The settings of a flag; lists are replaced as a whole."""

    note = Text()
    purpose = Choice(Purpose.choices, required=False)
    owner = s.CharField(required=False, allow_null=True, help_text="A user name.")
    tags = s.ListField(child=s.CharField(max_length=40), required=False)
    expires_on = Day(required=False, allow_null=True, help_text="2026-12-31")
    enabled = s.BooleanField(required=False)
    everyone = s.BooleanField(required=False, allow_null=True)
    percent = Percent(required=False, allow_null=True)
    sticky = s.CharField(required=False, max_length=60)
    in_gateway = s.BooleanField(required=False)
    default_variant = Text(60)
    off_variant = Text(60)
    target_variant = Text(60)
    user_ids = s.ListField(child=s.CharField(max_length=255), required=False)
    tiers = s.ListField(child=s.CharField(max_length=60), required=False)
    users = s.ListField(child=s.CharField(), required=False)
    groups = s.ListField(child=s.CharField(), required=False)
    variants = GivenVariant(many=True, required=False)
    rules = GivenRule(many=True, required=False)
    prerequisites = GivenPrerequisite(many=True, required=False)


class GivenFlag(Fields, GivenReason):
    name = s.CharField(max_length=100)
    kind = Choice(FlagKind.choices, required=False)


class GivenEdit(Fields, GivenChangeReason):
    pass


class GivenChange(GivenChangeReason):
    kind = Choice(ChangeKind.choices)
    at = s.DateTimeField(help_text="A time in the future.")
    payload = JsonObjectField(
        required=False, help_text='{"percent": 25} or {"weights": {"blue": 10000}}.'
    )


class GivenRamp(GivenChangeReason):
    to = Percent(help_text="The last percentage.")
    step = Percent(help_text="Percentage points per step.")
    every_minutes = s.IntegerField(min_value=1, max_value=525_600)
    start = s.DateTimeField(help_text="The time of the first step.")


class GivenRevert(GivenChangeReason):
    event = s.IntegerField(help_text="The flag becomes what it was after this event.")


class GivenContext(StrictSerializer):
    context = JsonObjectField(  # type: ignore[assignment]
        required=False, help_text="Attributes; 'targetingKey' is the user."
    )


class ShownFlag(s.Serializer):
    """A flag with all its settings."""

    name = s.CharField()
    kind = s.CharField()
    state = s.CharField(help_text="The state in words.")
    revision = s.IntegerField()
    killed = s.BooleanField()
    killed_reason = s.CharField()
    archived = s.BooleanField()
    expired = s.BooleanField()
    created = s.DateTimeField()
    modified = s.DateTimeField()
    settings = s.DictField(help_text="Can be sent back in a PATCH.")

    def to_representation(self, instance: Flag) -> dict[str, Any]:
        return render_flag(instance)


class ShownFlagEvent(s.ModelSerializer):
    class Meta:
        model = FlagEvent
        fields = (
            "id",
            "at",
            "actor_name",
            "action",
            "reason",
            "revision",
            "before",
            "after",
            "details",
        )


class ShownFlagChange(s.ModelSerializer):
    class Meta:
        model = ScheduledChange
        fields = (
            "id",
            "at",
            "kind",
            "payload",
            "ramp",
            "step",
            "state",
            "reason",
            "created_by_name",
            "applied_at",
            "error",
        )


class ShownEvaluation(s.Serializer):
    key = s.CharField()
    value = s.JSONField(allow_null=True)
    variant = s.CharField(help_text="Empty: your own default applies.")
    reason = s.CharField()
    rule = s.CharField(allow_null=True)
    bucket = s.IntegerField(allow_null=True, help_text="Of the percentage, 0 to 9,999.")
    variant_bucket = s.IntegerField(allow_null=True, help_text="Of the weights.")
    explanation = s.CharField()


def render_flag(flag: Flag) -> dict[str, Any]:
    """`flag` in the form of ShownFlag."""
    found = document.state(flag)
    return {
        "name": flag.name,
        "kind": flag.kind,
        "state": listing.state(flag, timezone.now().date()),
        "revision": flag.revision,
        "killed": flag.killed,
        "killed_reason": flag.killed_reason,
        "archived": flag.archived,
        "expired": listing.is_expired(flag, timezone.now().date()),
        "created": flag.created,
        "modified": flag.modified,
        "settings": {n: v for n, v in found.items() if n in document.EDITABLE},
    }
