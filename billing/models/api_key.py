"""API keys: shown once, stored as an HMAC."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models, transaction

from billing.budget_scopes import LONGEST_TAG, MOST_TAGS, TAG_RULE, is_tag
from billing.models.customer import Customer
from billing.models.minute_limited import MinuteLimited
from valuecanvas.core.cache_policy import policy_field
from valuecanvas.core.fields import names_field


class Scope(models.TextChoices):
    """What a key may do."""

    LLM = "llm", "Call models"
    ACT_AS = "act_as", "Name another user, who is then billed"
    ACT_AS_JWT = (
        "act_as_jwt",
        "Name users of bearer tokens (without a team; needs “Name another user”)",
    )
    BILL_USER = "bill_user", "Bill whom the field “user” names (needs the one above)"
    PROMPTS_READ = "prompts:read", "Read prompts"
    PROMPTS_WRITE = "prompts:write", "Write prompts and new versions"
    PROMPTS_PUBLISH = "prompts:publish", "Move labels, roll out and roll back"
    FLAGS_EVALUATE = "flags:evaluate", "Ask for the values of flags"
    FLAGS_READ = "flags:read", "Read how flags are set"
    FLAGS_WRITE = "flags:write", "Change flags"
    QUEUE_READ = "queue:read", "Read the figures of the queue"
    CHAOS_READ = "chaos:read", "Read runs of chaos experiments and drills"
    ADMIN = "admin", "Read and change customers of every team"


# The rights that a person needs to issue a key with a scope. The endpoints require the
# same rights of people (a test compares them).
SCOPE_RIGHTS: Mapping[str, tuple[str, ...]] = {
    Scope.ACT_AS: ("billing.change_customer",),
    Scope.ACT_AS_JWT: ("billing.change_customer",),
    Scope.BILL_USER: ("billing.change_customer",),
    Scope.PROMPTS_READ: ("prompts.view_prompt", "prompts.view_experiment"),
    Scope.PROMPTS_WRITE: ("prompts.add_prompt", "prompts.change_prompt"),
    Scope.PROMPTS_PUBLISH: ("prompts.publish_prompt",),
    Scope.FLAGS_READ: ("flags.view_flag",),
    Scope.FLAGS_WRITE: (
        "flags.add_flag",
        "flags.change_flag",
        "flags.kill_flag",
        "flags.delete_flag",
    ),
    Scope.QUEUE_READ: ("llm.view_job",),
    Scope.CHAOS_READ: ("llm.view_chaosrun",),
    Scope.ADMIN: (
        "billing.view_customer",
        "billing.change_customer",
        "billing.view_usage",
    ),
}


def scopes_beyond(user: Any, scopes: Iterable[str]) -> list[str]:
    """Those of `scopes` that `user` may not give to a key."""
    return [one for one in scopes if not user.has_perms(SCOPE_RIGHTS.get(one, ()))]


def scope_choices() -> list[tuple[str, str]]:
    return Scope.choices


def default_scopes() -> list[str]:
    return [Scope.LLM.value]


class ApiKey(MinuteLimited):
    """A caller's key. It is looked up by prefix and checked by HMAC-SHA-256 with the pepper."""

    config_kind = "api_key"

    prefix = models.CharField(primary_key=True, max_length=16, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    name = models.CharField(max_length=120, help_text="Where this key is used.")
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="api_keys"
    )
    scopes = ArrayField(
        models.CharField(max_length=20, choices=scope_choices), default=default_scopes
    )
    allowed_models = names_field(200, "Model names, with commas. Empty: every model.")
    tags = names_field(
        LONGEST_TAG,
        "Tags of each of its requests, with commas: for budgets and reports.",
        db_default=[],
    )
    allowed_tags = names_field(
        LONGEST_TAG,
        "Further tags that its requests may name in the header x-valuecanvas-tags.",
        db_default=[],
    )
    cache_policy = policy_field("Of answers to this key.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    replaces = models.ForeignKey(
        "self",
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="replaced_by",
    )
    issuer = models.CharField(
        max_length=150,
        blank=True,
        editable=False,
        help_text="Who issued it, in the admin. What is kept from them is kept from it.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} (vc-{self.prefix}-…)"

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            if not self._state.adding:
                # Revoking is one-way: a copy from before it must not undo it.
                held = ApiKey.objects.select_for_update().filter(pk=self.pk)
                revoked_at = held.values_list("revoked_at", flat=True).first()
                self.revoked_at = revoked_at or self.revoked_at
            super().save(*args, **kwargs)

    def clean(self) -> None:
        names = [*self.tags, *self.allowed_tags]
        if unfit := [one for one in names if not is_tag(one)]:
            raise ValidationError(
                {
                    "tags"
                    if unfit[0] in self.tags
                    else "allowed_tags": f"{unfit[0]!r}: {TAG_RULE}"
                }
            )
        if len(self.tags) > MOST_TAGS:
            raise ValidationError({"tags": f"A request has at most {MOST_TAGS} tags."})

    def state(self, now: datetime) -> str:
        """'revoked', 'expired' or 'active' at `now`."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= now:
            return "expired"
        return "active"
