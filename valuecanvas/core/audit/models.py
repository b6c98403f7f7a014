"""The entries of the audit."""

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Now

# Columns whose words are found.
SEARCHED = ("label", "reason")


class AuditEntry(models.Model):
    """A change of a row, or an event. The database fills in when, who and why.

    Append-only: triggers refuse every UPDATE and DELETE but those of `retention` and
    `erasure`.
    """

    at = models.DateTimeField("when", db_default=Now())
    actor = models.CharField("who", max_length=200, db_default="")
    # One of ActorKind; free, since the database may be written to by others.
    actor_kind = models.CharField("kind of actor", max_length=20, db_default="")
    address = models.CharField("from", max_length=200, db_default="")
    request_id = models.CharField("request", max_length=64, db_default="")
    reason = models.TextField("why", db_default="")
    # created, changed, deleted, or the name of an event: `login.locked`.
    action = models.CharField(max_length=60)
    # The label of a model: `billing.price`.
    kind = models.CharField(max_length=100, db_default="")
    object_id = models.CharField("id", max_length=200, db_default="")
    label = models.CharField("object", max_length=400, db_default="")
    # Of changed columns only; an event's details are in `after`.
    before: Any = models.JSONField(null=True)
    after: Any = models.JSONField(null=True)

    class Meta:
        db_table = "core_audit_entry"
        verbose_name = "audit entry"
        verbose_name_plural = "audit"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["at"], name="core_audit_at"),
            models.Index(fields=["object_id", "kind", "-id"], name="core_audit_object"),
            models.Index(fields=["kind", "-id"], name="core_audit_kind"),
            GinIndex(SearchVector(*SEARCHED, config="simple"), name="core_audit_words"),
            models.Index(fields=["actor", "-id"], name="core_audit_actor"),
            models.Index(fields=["action", "-id"], name="core_audit_action"),
            models.Index(
                fields=["request_id"],
                name="core_audit_request",
                condition=~models.Q(request_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.kind} {self.label}"
