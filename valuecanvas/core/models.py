"""The configuration epoch, the list of changes, and models whose writes raise the epoch."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, NotSupportedError, models, transaction
from django.db.models.deletion import Collector

from valuecanvas.core.audit.models import AuditEntry
from valuecanvas.core.db import epoch
from valuecanvas.core.fields import SealedField
from valuecanvas.core.telemetry.models import LogLevel
from valuecanvas.core.webhooks.models import WebhookDelivery, WebhookEndpoint

__all__ = ["AuditEntry", "LogLevel", "WebhookDelivery", "WebhookEndpoint"]


class Epoch(models.Model):
    """One row: how often the configuration has changed."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    value = models.BigIntegerField(default=0)

    class Meta:
        db_table = "core_epoch"
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="core_epoch_one_row")
        ]

    def __str__(self) -> str:
        return str(self.value)


class Change(models.Model):
    """One changed object, so that a process behind loads only what it lacks."""

    epoch = models.BigIntegerField(db_index=True)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "core_change"

    def __str__(self) -> str:
        return f"{self.epoch} {self.kind} {self.key}"


class GivenRight(models.Model):
    """A right that an upgrade once gave to a built-in group.

    An upgrade does not give it again after a superuser took it away.
    """

    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, related_name="+")
    # 'app.codename': the permission may be deleted and created again.
    right = models.CharField(max_length=201)

    class Meta:
        db_table = "core_given_right"
        default_permissions = ()
        # Of a page about no model.
        permissions = [("view_status", "Can see the status page")]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "right"], name="core_given_right_once"
            )
        ]

    def __str__(self) -> str:
        return self.right


class LoginFailure(models.Model):
    """Recent failed logins to one account or from one address."""

    name = models.CharField(max_length=160, primary_key=True)
    failures = models.PositiveIntegerField()
    # The count is reset then.
    until = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "core_login_failure"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class FormResult(models.Model):
    """The result of an admin form that acts once, encrypted for its sender."""

    id = models.CharField(max_length=64, primary_key=True)
    body = SealedField()
    # It is deleted then.
    until = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "core_form_result"
        default_permissions = ()

    def __str__(self) -> str:
        return self.id


class ConfigQuerySet(models.QuerySet):
    """A queryset whose bulk writes bump the epoch as single saves do."""

    def among(self, keys: Iterable[Any] | None) -> Self:
        """The rows with these primary keys; None: all."""
        return self if keys is None else self.filter(pk__in=keys)

    def _bump(self, keys: Iterable[object]) -> None:
        kind: str = getattr(self.model, "config_kind")  # noqa: B009
        epoch.bump(kind, keys)

    def update(self, **values: Any) -> int:
        with transaction.atomic(using=self.db):
            key: str = getattr(self.model, "config_key")  # noqa: B009
            keys = set(self.values_list(key, flat=True))
            changed = super().update(**values)
            self._bump(keys)
        return changed

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db):
            _bump_deletion(self)
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        with transaction.atomic(using=self.db):
            made: list[Any] = super().bulk_create(objs, *args, **kwargs)
            if any(one.pk is None for one in made):
                raise NotSupportedError("The new rows' keys are not known.")
            self._bump(dict.fromkeys(one.config_owner for one in made))
        return made


class ConfigModel(models.Model):
    """A configuration row: each write raises the epoch in the same transaction.

    `config_kind` names the section of the snapshot that the row belongs to, and
    `config_key` the field with the key there (for a part, the key of its owner).
    """

    config_kind: str
    config_key = "pk"

    objects = ConfigQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            epoch.bump(self.config_kind, [self.config_owner])

    @property
    def config_owner(self) -> object:
        """The key in the snapshot that this row is, or is a part of."""
        found: object = getattr(self, self.config_key)
        return found

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            _bump_deletion([self])
            return super().delete(*args, **kwargs)


def _bump_deletion(rows: Sequence[ConfigModel] | ConfigQuerySet) -> None:
    """Raise the epoch for `rows`, and for rows that a deletion cascades to or changes.

    Else a new row with an old name would get the old row's routes and limits.
    """
    collector = Collector(using=DEFAULT_DB_ALIAS)
    collector.collect(rows)
    touched: list[Iterable[Any]] = [*collector.data.values(), *collector.fast_deletes]
    for some_rows in collector.field_updates.values():
        touched += some_rows  # type: ignore[arg-type]
    keys: dict[str, dict[object, None]] = {}
    for row in chain.from_iterable(touched):
        if isinstance(row, ConfigModel):
            keys.setdefault(row.config_kind, {})[row.config_owner] = None
    for kind, some in keys.items():
        epoch.bump(kind, some)
