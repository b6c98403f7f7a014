"""One more row of every model that the admin lists."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from waffle.models import Sample, Switch

from billing.models import (
    Counter,
    Customer,
    IdempotentReplay,
    LedgerCheck,
    Refusal,
    RefusalStep,
    Request,
    Reservation,
    Usage,
)
from flags.models import Flag
from llm.models import Attempt, BreakerEvent, BreakerOverride, CacheEpoch, Feedback
from prompts.models import ProtectedLabel
from tests.admin.chaos_rows import (
    make_chaos_experiment,
    make_chaos_run,
    make_chaos_window,
)
from tests.admin.job_rows import make_batch, make_job, make_job_file, make_recurring
from tests.admin.prompt_rows import make_prompt
from tests.billing.alerts.rows import make_alert, make_channel, make_rule
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_price,
    make_provider,
    make_route,
    make_team,
    make_tier,
    unique,
)
from tests.flags.rows import make_flag
from tests.prompts.experiments.rows import make_draft
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.core.ids import uuid7
from valuecanvas.core.models import AuditEntry, LogLevel, WebhookDelivery
from valuecanvas.core.webhooks.outbox import queue


def make_usage(customer: Customer | None = None, **fields: Any) -> Usage:
    customer = customer or make_customer()
    at = fields.pop("created_at", timezone.now())
    values: dict[str, Any] = {
        "id": uuid7(),
        "user_id": customer.user_id,
        "team": customer.team_id or "",
        "model": "some-model",
        "provider": "some-provider",
        "upstream_model": "some-model",
        "endpoint": "chat",
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "cost_usd": Decimal("0.001234"),
        "status": "ok",
        "latency_ms": 420,
        "ttft_ms": 99,
        "epoch": 1,
        "source": "provider",
        "day": at.date(),
        **fields,
    }
    return Usage.objects.create(customer_id=customer.pk, created_at=at, **values)


def make_refusal(customer: Customer | None = None, **fields: Any) -> Refusal:
    customer = customer or make_customer()
    values: dict[str, Any] = {
        "created_at": timezone.now(),
        "user_id": customer.user_id,
        "customer_id": customer.pk,
        "team": customer.team_id or "",
        "endpoint": "chat",
        "model": "some-model",
        "step": RefusalStep.RESOLVE,
        "status": 404,
        "code": "model_not_found",
        "message": "There is no model 'some-model'.",
        **fields,
    }
    return Refusal.objects.create(id=uuid7(), **values)


def make_replay(original: Usage | None = None, **fields: Any) -> IdempotentReplay:
    original = original or make_usage()
    values: dict[str, Any] = {
        "created_at": timezone.now(),
        "original_id": original.pk,
        "user_id": original.user_id,
        "customer_id": original.customer_id,
        "team": original.team,
        "endpoint": original.endpoint,
        "model": original.model,
        **fields,
    }
    return IdempotentReplay.objects.create(id=uuid7(), **values)


def make_counter(scope: str, scope_id: str, day: Any, **amounts: int) -> Counter:
    return Counter.objects.create(
        key=f"{scope}:{scope_id}:{day}",
        scope=scope,
        scope_id=scope_id,
        day=day,
        **amounts,
    )


def make_attempt(**fields: Any) -> Attempt:
    values: dict[str, Any] = {
        "request_id": uuid7(),
        "number": 1,
        "provider": "some-provider",
        "upstream_model": "some-model",
        "outcome": "failure",
        "status": 503,
        "error": "overloaded",
        "latency_ms": 30,
        "created_at": timezone.now(),
        **fields,
    }
    return Attempt.objects.create(id=uuid7(), **values)


def make_reservation(**fields: Any) -> Reservation:
    now = timezone.now()
    values: dict[str, Any] = {
        "customer_id": uuid7(),
        "day": now.date(),
        "estimate": 1500,
        "lease_until": now + timedelta(minutes=1),
        "epoch": 1,
        "facts": {"user_id": "ann", "model": "some-model"},
        "created_at": now,
        **fields,
    }
    return Reservation.objects.create(id=uuid7(), **values)


def make_ledger_check(**fields: Any) -> LedgerCheck:
    now = timezone.now()
    values: dict[str, Any] = {
        "started_at": now,
        "finished_at": now,
        "last_day": now.date(),
        "ok": True,
        "findings": [{"name": "spent", "checked": 4, "drifted": 0, "rows": []}],
        "by": "schedule",
        **fields,
    }
    return LedgerCheck.objects.create(**values)


def make_feedback(**fields: Any) -> Feedback:
    now = timezone.now()
    values: dict[str, Any] = {
        "request_id": uuid7(),
        "customer_id": uuid7(),
        "user_id": "ann",
        "score": 1,
        "comment": "helpful",
        "requested_at": now,
        "created_at": now,
        "updated_at": now,
        **fields,
    }
    return Feedback.objects.create(**values)


def make_event(**fields: Any) -> BreakerEvent:
    values = {
        "provider": "some-provider",
        "upstream_model": "some-model",
        "from_state": "closed",
        "to_state": "open",
        "reason": "6 of 10 calls failed",
        "created_at": timezone.now(),
        **fields,
    }
    return BreakerEvent.objects.create(**values)


def make_override(**fields: Any) -> BreakerOverride:
    values = {
        "provider": fields.pop("provider", None) or make_provider(),
        "upstream_model": "some-model",
        "state": "forced_open",
        "reason": "maintenance there",
        "expires_at": timezone.now() + timedelta(hours=1),
        **fields,
    }
    return BreakerOverride.objects.create(**values)


def make_task(**fields: Any) -> PeriodicTask:
    interval = IntervalSchedule.objects.create(every=10, period="seconds")
    return PeriodicTask.objects.create(
        name=unique("task"), task="some.task", interval=interval, **fields
    )


def make_backup(**fields: Any) -> Backup:
    now = timezone.now()
    values = {
        "name": f"20261129T020000Z-{uuid7().hex[-6:]}",
        "state": BackupState.STORED,
        "started_at": now,
        "finished_at": now + timedelta(seconds=9),
        "by": "schedule",
        "size": 2_345_678,
        "tables": 65,
        "rows": 1234,
        "rehearsed_at": now,
        "verified": True,
        "steps": [
            {"name": "Serve a request", "ok": True, "detail": "fine", "seconds": 4.8}
        ],
        **fields,
    }
    return Backup.objects.create(**values)


def make_webhook(
    owner: str = "", state: str = "failed", **fields: Any
) -> WebhookDelivery:
    url = "https://hook.example/jobs"
    row = queue(owner or f"customer:{uuid7()}", url, "job.succeeded", {"id": "some"})
    entry = {
        "at": timezone.now().isoformat(),
        "status": 500,
        "error": "It answered 500.",
        "took_ms": 12,
    }
    values = {"last_error": "It answered 500.", "history": [entry], **fields}
    WebhookDelivery.objects.filter(pk=row.pk).update(state=state, **values)
    return WebhookDelivery.objects.get(pk=row.pk)


def _price() -> object:
    return make_price(make_provider().key, unique("upstream"))


def _log_entry() -> object:
    user = User.objects.first() or User.objects.create_user(unique("user"))
    [entry] = LogEntry.objects.log_actions(user.pk, [make_team()], 2, "A change.")
    return entry


MAKE: dict[str, Callable[[], Any]] = {
    "admin.logentry": _log_entry,
    "auth.group": lambda: Group.objects.create(name=unique("group")),
    "auth.user": lambda: User.objects.create_user(unique("user")),
    "backups.backup": make_backup,
    "billing.alertchannel": lambda: make_channel("email", "ann@a.example"),
    "billing.alertevent": make_alert,
    "billing.alertrule": make_rule,
    "billing.apikey": lambda: make_api_key()[0],
    "billing.budget": lambda: make_budget(make_customer()),
    "billing.counter": lambda: make_counter(
        "t", unique("team"), timezone.now().date(), used=1
    ),
    "billing.customer": lambda: make_customer(team=make_team()),
    "billing.ledgercheck": make_ledger_check,
    "billing.price": _price,
    "billing.refusal": make_refusal,
    "billing.idempotentreplay": make_replay,
    "billing.request": lambda: Request.objects.get(pk=make_usage().pk),
    "billing.reservation": make_reservation,
    "billing.team": make_team,
    "billing.tier": make_tier,
    "billing.usage": make_usage,
    "core.auditentry": lambda: AuditEntry.objects.create(
        action="user.invited", kind="auth.user", object_id="1", label=unique("user")
    ),
    "core.loglevel": lambda: LogLevel.objects.create(expires_at=timezone.now()),
    "core.webhookdelivery": make_webhook,
    "core.webhookendpoint": lambda: make_webhook().endpoint,
    "django_celery_beat.clockedschedule": lambda: ClockedSchedule.objects.create(
        clocked_time=datetime(2030, 1, 1, tzinfo=UTC)
    ),
    "django_celery_beat.crontabschedule": lambda: CrontabSchedule.objects.create(
        hour="3"
    ),
    "django_celery_beat.intervalschedule": lambda: IntervalSchedule.objects.create(
        every=3, period="seconds"
    ),
    "django_celery_beat.periodictask": make_task,
    "django_celery_beat.solarschedule": lambda: SolarSchedule.objects.create(
        event="sunset", latitude=SolarSchedule.objects.count() % 90, longitude=1
    ),
    "flags.flag": lambda: Flag.objects.create(name=unique("flag")),
    "flags.flagevent": lambda: make_flag().events.get(),
    "llm.attempt": make_attempt,
    "llm.breakerevent": make_event,
    "llm.breakeroverride": make_override,
    "llm.cacheepoch": lambda: CacheEpoch.objects.create(target=unique("model:m")),
    "llm.chaosexperiment": make_chaos_experiment,
    "llm.chaosrun": make_chaos_run,
    "llm.chaoswindow": make_chaos_window,
    "llm.feedback": make_feedback,
    "llm.job": make_job,
    "llm.jobbatch": make_batch,
    "llm.jobfile": make_job_file,
    "llm.model": lambda: make_route().model,
    "llm.provider": lambda: make_route().provider,
    "llm.recurringjob": make_recurring,
    "llm.route": make_route,
    "prompts.experiment": lambda: make_draft(),
    "prompts.prompt": lambda: make_prompt(versions=2, live=1),
    "prompts.promptevent": lambda: make_prompt().events.get(),
    "prompts.protectedlabel": lambda: ProtectedLabel.objects.create(name=unique("l")),
    "waffle.sample": lambda: Sample.objects.create(name=unique("s"), percent=5),
    "waffle.switch": lambda: Switch.objects.create(name=unique("switch")),
}
