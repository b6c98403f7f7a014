"""Bodies of responses of the endpoints of prompts."""

from typing import Any

from rest_framework import serializers as s

from prompts.models import Label, Prompt, PromptEvent, PromptVersion, Rollout
from prompts.models.prompt import PromptKind


class ShownLabel(s.ModelSerializer):
    version = s.IntegerField(source="version.number")

    class Meta:
        model = Label
        fields = ("name", "version", "moved_at")


class ShownLabels(s.Serializer):
    data = ShownLabel(many=True)  # type: ignore[assignment]


class ShownPrompt(s.ModelSerializer):
    """A prompt in lists."""

    owner = s.CharField(source="owner.username", allow_null=True, default=None)
    production = s.IntegerField(
        allow_null=True, help_text="The live version; null: none yet."
    )
    latest = s.IntegerField(allow_null=True, help_text="The newest version.")

    class Meta:
        model = Prompt
        fields = (
            "key", "kind", "folder", "description", "owner", "tags", "archived",
            "cache_policy", "cache_scope", "created_at", "production", "latest",
        )  # fmt: skip


class ShownMessage(s.Serializer):
    role = s.CharField()
    content = s.CharField()


class ShownVariable(s.Serializer):
    name = s.CharField()
    description = s.CharField(required=False)
    default = s.JSONField(required=False)
    schema = s.DictField(required=False)


class ShownVersionSummary(s.ModelSerializer):
    """A version in lists, without its text."""

    version = s.IntegerField(source="number")
    author = s.CharField(source="author_name")
    labels = s.SerializerMethodField()

    class Meta:
        model = PromptVersion
        fields = (
            "version", "labels", "author", "note", "tags", "digest", "created_at",
        )  # fmt: skip

    def get_labels(self, version: PromptVersion) -> list[str]:
        return sorted(label.name for label in version.labels.all())


class ShownVersion(ShownVersionSummary):
    """A whole version. The text is as written: references are not replaced."""

    key = s.CharField(source="prompt.key")
    kind = s.ChoiceField(PromptKind.choices, source="prompt.kind")
    template = s.CharField(help_text="The text of a text prompt; '' for a chat.")
    messages = ShownMessage(many=True, help_text="Of a chat; [] for a text prompt.")
    variables = ShownVariable(many=True)
    parameters = s.DictField()

    class Meta:
        model = PromptVersion
        fields = (
            "key", "kind", "version", "labels", "template", "messages", "variables",
            "model", "parameters", "author", "note", "tags", "digest", "created_at",
        )  # fmt: skip

    def to_representation(self, instance: PromptVersion) -> dict[str, Any]:
        # The JSON columns as they are, so that no field of a declaration is lost.
        found = super().to_representation(instance)
        return {
            **found,
            "messages": instance.messages,
            "variables": instance.variables,
            "parameters": instance.parameters,
        }


class ShownRollout(s.ModelSerializer):
    version = s.IntegerField(source="version.number")
    share = s.IntegerField(help_text="Hundredths of a percent: 10000 is everybody.")

    class Meta:
        model = Rollout
        fields = (
            "id", "version", "share", "state", "steps", "next_at", "reason",
            "started_at", "ended_at",
        )  # fmt: skip


class ShownPromptDetail(ShownPrompt):
    labels = ShownLabel(many=True)
    rollout = ShownRollout(allow_null=True, help_text="The one under way.")

    class Meta(ShownPrompt.Meta):
        fields = (*ShownPrompt.Meta.fields, "labels", "rollout")  # type: ignore[assignment]


class ShownEvent(s.ModelSerializer):
    actor = s.CharField(source="actor_name")

    class Meta:
        model = PromptEvent
        fields = (
            "id", "at", "actor", "action", "label", "from_version", "to_version",
            "reason", "details",
        )  # fmt: skip


class ShownDiff(s.Serializer):
    """Two versions of a prompt: what differs, and a unified diff."""

    from_version = s.IntegerField()
    to_version = s.IntegerField()
    changed = s.ListField(
        child=s.ChoiceField(["words", "variables", "model", "parameters"])
    )
    diff = s.CharField(help_text="A unified diff; '' without differences.")


class ShownCompiled(s.Serializer):
    key = s.CharField()
    version = s.IntegerField()
    label = s.CharField(  # type: ignore[assignment]
        help_text="The label of the request; '' for a version."
    )
    variant = s.CharField(help_text="Of an experiment or rollout; '' without one.")
    text = s.CharField(allow_null=True, help_text="The text of a text prompt.")
    messages = ShownMessage(many=True)
    model = s.CharField(allow_null=True)
    parameters = s.DictField()
