"""Bodies of requests to the endpoints of prompts; `prompts.services` checks the rules."""

from django.contrib.auth.models import User
from rest_framework import serializers as s

from prompts.models.prompt import FOLDER, KEY, CacheScope, PromptKind
from valuecanvas.core.api.bodies import (
    Choice,
    GivenReason,
    JsonField,
    JsonObjectField,
    Number,
    OptionalNumber,
    StrictSerializer,
    Text,
)
from valuecanvas.core.cache_policy import CachePolicy
from valuecanvas.core.targeting.bucketing import BUCKETS

REASON = "Why; kept in the history."
# The longest list: more than any prompt has, and few enough for one transaction.
MOST = 200


class Tags(s.ListField):
    child = s.CharField(max_length=40)

    def __init__(self, **options: object) -> None:
        super().__init__(max_length=50, **options)  # type: ignore[arg-type]


class GivenMessage(StrictSerializer):
    role = Choice(["system", "developer", "user", "assistant"])
    content = s.CharField(trim_whitespace=False, allow_blank=True)


class GivenVariable(StrictSerializer):
    name = s.CharField(max_length=64)
    description = Text(2000)
    default = JsonField(required=False, allow_null=True)
    schema = JsonObjectField(required=False, allow_null=True)


class GivenVersion(StrictSerializer):
    template = s.CharField(
        required=False, trim_whitespace=False, help_text="The text of a text prompt."
    )
    messages = GivenMessage(  # type: ignore[call-arg]
        many=True, required=False, max_length=MOST, help_text="Of a chat prompt."
    )
    variables = GivenVariable(  # type: ignore[call-arg]
        many=True,
        required=False,
        max_length=MOST,
        help_text="Variables in the text without a declaration are required.",
    )
    model = Text(200, "'': the client names the model.")
    parameters = JsonObjectField(
        required=False, help_text="Sent upstream, e.g. temperature."
    )
    note = Text(2000, "What changed, and why.")
    tags = Tags(required=False)
    based_on = OptionalNumber(
        "The version that you edited: 409 if there is a newer one."
    )


class Details(StrictSerializer):
    """The details of a prompt."""

    folder = Text(200, validators=[FOLDER])
    description = Text(10_000)
    owner = s.CharField(
        required=False,
        allow_null=True,
        max_length=150,
        help_text="The name of the user to ask about it; null: nobody.",
    )
    tags = Tags(required=False)
    cache_policy = Choice(CachePolicy.choices, required=False)
    cache_scope = Choice(CacheScope.choices, required=False, allow_blank=True)

    def validate_owner(self, name: str | None) -> User | None:
        """The user with this name. Raises ValidationError."""
        if name is None:
            return None
        try:
            return User.objects.get(username=name)
        except User.DoesNotExist:
            raise s.ValidationError(
                f"There is no user '{name}'. Name one of this site's, or null."
            ) from None


class GivenPrompt(Details):
    key = s.CharField(max_length=200, validators=[KEY])
    kind = Choice(PromptKind.choices, default=PromptKind.TEXT)


class GivenRemoval(GivenReason):
    expected_version = OptionalNumber(
        "The version that it points at now: 409 if it does not."
    )


class GivenMove(GivenReason):
    version = Number(help_text="The new version of the label.")
    expected_version = Number(
        allow_null=True,
        help_text="The version that it points at now; null: none yet. 409 if it does not.",
    )


class GivenRollback(StrictSerializer):
    reason = s.CharField(max_length=2000, help_text=REASON)
    to = OptionalNumber("A version; by default the one that was live before.")
    expected_version = OptionalNumber("The version that is live now: 409 if it is not.")


class GivenStep(StrictSerializer):
    share = s.IntegerField(min_value=1, max_value=BUCKETS)
    after_minutes = s.IntegerField(min_value=1, max_value=525_600)


class GivenShare(GivenReason):
    share = s.IntegerField(
        min_value=1,
        max_value=BUCKETS,
        help_text="Hundredths of a percent: 100 is 1 %, 10000 is everybody.",
    )


class GivenNewShare(GivenShare):
    expected_share = s.IntegerField(
        required=False,
        allow_null=True,
        help_text="The share now: 409 if it is another one.",
    )


class GivenRollout(GivenShare):
    version = Number()
    steps = GivenStep(  # type: ignore[call-arg]
        many=True, required=False, max_length=MOST, help_text="Applied automatically."
    )


class GivenCompile(StrictSerializer):
    version = OptionalNumber()
    label = s.CharField(  # type: ignore[assignment]
        required=False, allow_null=True, max_length=40
    )
    variables = JsonObjectField(required=False, help_text="A value for each name.")
    user = s.CharField(
        required=False,
        max_length=200,
        help_text="Your id of a user, who may be in a running experiment or rollout.",
    )
    context = JsonObjectField(  # type: ignore[assignment]
        required=False, help_text="Attributes of the user, e.g. tier."
    )
