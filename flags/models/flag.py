"""The feature flag: django-waffle's flag model, extended."""

from typing import Any, ClassVar

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.core.validators import (
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
)
from django.db import models, transaction
from django.http import HttpRequest
from django.utils import timezone
from waffle.managers import FlagManager
from waffle.models import AbstractUserFlag

from flags.engine.answer import Evaluation
from flags.engine.evaluation import evaluate
from flags.site_visitor import context_of, context_of_request, waffle_override
from valuecanvas.core.db import epoch
from valuecanvas.core.fields import names_field, user_field
from valuecanvas.core.models import ConfigModel, ConfigQuerySet

NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z",
    "Use letters, digits, '_', '-' and '.', as in 'new_canvas_ui'.",
)
# The attribute that flags bucket by, by default.
STICKY = "targetingKey"


class FlagKind(models.TextChoices):
    BOOLEAN = "boolean", "On or off"
    STRING = "string", "Text"
    NUMBER = "number", "Number"
    OBJECT = "object", "JSON"


def kinds() -> list[tuple[str, str]]:
    return FlagKind.choices


class Purpose(models.TextChoices):
    RELEASE = "release", "Release: temporary, until everyone has it"
    EXPERIMENT = "experiment", "Experiment: temporary, until it is decided"
    OPERATIONAL = "operational", "Operational: permanent, to switch things off"
    PERMISSION = "permission", "Permission: permanent, controls access"


def purposes() -> list[tuple[str, str]]:
    return Purpose.choices


class TeamFlagManager(FlagManager):
    """Waffle's manager, whose bulk writes bump the epoch."""

    def get_queryset(self) -> ConfigQuerySet:
        return ConfigQuerySet(self.model, using=self._db)


class Flag(ConfigModel, AbstractUserFlag):
    """A waffle flag: waffle's decorators, tags and commands work with it.

    Its state changes through `flags.services`, which writes the audit.
    """

    config_kind = "flag"

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[NAME],
        help_text="What code asks for, e.g. 'new_canvas_ui'. Never changes: it is the "
        "salt of the flag's buckets.",
    )
    percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Share of the users who get it, from 0 to 100. Empty: only the "
        "targets.",
    )
    kind = models.CharField(
        max_length=7,
        choices=kinds,
        default=FlagKind.BOOLEAN,
        help_text="What its values are. Never changes.",
    )
    enabled = models.BooleanField(
        default=True, help_text="Off: everyone gets the off variant."
    )
    default_variant = models.CharField(
        max_length=60,
        blank=True,
        help_text="What users outside rules and percentage get. Empty: 'off', or the "
        "default of the program.",
    )
    off_variant = models.CharField(
        max_length=60,
        blank=True,
        help_text="What everyone gets while it is off or killed. Empty: 'off', or the "
        "default of the program.",
    )
    user_ids = names_field(
        255, "Ids of target users, who get it whatever the rules say; with commas."
    )
    tiers = names_field(
        60,
        "Keys of target tiers, whose users get it whatever the rules say; with commas.",
    )
    target_variant = models.CharField(
        max_length=60,
        blank=True,
        help_text="What the targets get. Empty: by the weights.",
    )
    sticky = models.CharField(
        "bucketed by",
        max_length=60,
        default=STICKY,
        help_text="The attribute that decides on shares: 'targetingKey' is the user; "
        "'team' gives all of a team the same.",
    )
    allocation = models.JSONField(
        default=list,
        blank=True,
        editable=False,
        help_text="The variant of each bucket; kept so that as few users as possible "
        "change variants.",
    )
    in_gateway = models.BooleanField(
        "evaluated in the gateway",
        default=False,
        help_text="For each LLM request, and recorded with its usage.",
    )
    purpose = models.CharField(max_length=11, choices=purposes, default=Purpose.RELEASE)
    owner = user_field(related_name="flags", help_text="Whom to ask about it.")
    expires_on = models.DateField(
        null=True,
        blank=True,
        help_text="When the flag and the code that uses it should be removed.",
    )
    tags = names_field(40, "Words to find it by, with commas.")
    protected = models.BooleanField(
        default=False,
        editable=False,
        help_text="The gateway asks for it: it cannot be deleted or archived.",
    )
    archived = models.BooleanField(
        default=False,
        help_text="Programs get their own default; left out of lists.",
    )
    killed_at = models.DateTimeField(null=True, blank=True, editable=False)
    killed_by = models.CharField(max_length=200, blank=True, editable=False)
    killed_reason = models.TextField(blank=True, editable=False)
    revision = models.PositiveIntegerField(
        default=0, editable=False, help_text="How often it was changed."
    )

    objects: ClassVar[Any] = TeamFlagManager()

    class Meta(AbstractUserFlag.Meta):
        abstract = False
        db_table = "feature_flags"
        permissions = [("kill_flag", "Can kill and revive flags")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(percent__isnull=True)
                | models.Q(percent__gte=0, percent__lte=100),
                name="feature_flag_percent",
            )
        ]

    @property
    def killed(self) -> bool:
        return self.killed_at is not None

    @property
    def share(self) -> int:
        """`percent` in hundredths of a percent."""
        return int((self.percent or 0) * 100)

    def save(self, *args: Any, **kwargs: Any) -> None:
        # Not waffle's own save: its flush would bump the epoch a second time.
        with transaction.atomic():
            self.modified = timezone.now()
            models.Model.save(self, *args, **kwargs)
            epoch.bump(self.config_kind, [self.pk])

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            epoch.bump(self.config_kind, [self.pk])
            return models.Model.delete(self, *args, **kwargs)

    def flush(self) -> None:
        """Invalidate caches of the flag; waffle calls it, e.g. when its users change."""
        if self.pk is not None:
            with transaction.atomic():
                epoch.bump(self.config_kind, [self.pk])

    @classmethod
    def get(cls, name: str) -> "Flag":
        """The flag from memory, with deferred fields; an unsaved one if it is missing."""
        facts = _store().current().get(name)
        if facts is None:
            return cls(name=name)
        return cls.from_db(None, ["id", "name"], [facts.pk, name])

    def is_active(self, request: HttpRequest, read_only: bool = False) -> bool | None:
        """Whether the flag is on for the request's user: deterministic, never random."""
        flags = _store().for_request(request)
        facts = flags.get(self.name)
        if facts is None:
            if self.pk is not None:
                return False
            missing: bool | None = super().is_active(request, read_only)
            return missing
        found = evaluate(flags, self.name, context_of_request(request), default=False)
        if facts.kill is None and facts.everyone is None:
            override = waffle_override(request, facts)
            if override is not None:
                return override
        return _active(found)

    def is_active_for_user(self, user: Any) -> bool | None:
        flags = _store().current()
        context = context_of(user or AnonymousUser())
        return _active(evaluate(flags, self.name, context, default=False))


class FlagPart(ConfigModel):
    """The base of rows that belong to a flag, by their field `flag`."""

    config_kind = "flag"
    config_key = "flag_id"

    class Meta:
        abstract = True


def _store() -> Any:
    """The process's FlagStore, whose module needs the models first."""
    config: Any = apps.get_app_config("flags")
    return config.store


def _active(found: Evaluation) -> bool:
    """A flag that is not boolean is active if its variant was decided for the caller."""
    if isinstance(found.value, bool):
        return found.value
    return found.is_included
