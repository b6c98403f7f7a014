"""Prompts, experiments and ledger rows for tests."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from billing.models import Usage
from llm.models import Feedback
from prompts.experiments.drafts import ArmSpec, Draft, create_draft
from prompts.models import Experiment, Label, Prompt, PromptVersion
from prompts.services import PromptActor
from tests.fixtures_billing import unique
from valuecanvas.core.ids import uuid7
from valuecanvas.core.targeting.bucketing import digest

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HALVES = (
    ArmSpec("a", 5000, version=1, control=True),
    ArmSpec("b", 5000, version=2),
)


def make_prompt(key: str = "", versions: int = 2, **fields: Any) -> Prompt:
    """With versions 1, 2 …; `production` points at the first."""
    prompt = Prompt.objects.create(key=key or unique("prompt"), **fields)
    made = [make_version(prompt, number) for number in range(1, versions + 1)]
    if made:
        Label.objects.create(prompt=prompt, name="production", version=made[0])
    return prompt


def make_version(prompt: Prompt, number: int, **fields: Any) -> PromptVersion:
    return PromptVersion.objects.create(
        prompt=prompt,
        number=number,
        template=fields.pop("template", f"Say {number}."),
        author_name="ann",
        digest=unique("digest"),
        **fields,
    )


def make_draft(
    prompt: Prompt | None = None, key: str = "", **fields: Any
) -> Experiment:
    """Two halves: version 1, the control, and version 2."""
    draft = Draft(arms=fields.pop("arms", HALVES), **fields)
    return create_draft(prompt or make_prompt(), key or unique("experiment"), draft)


def make_actor(name: str = "") -> PromptActor:
    """A superuser, who may move every label."""
    user = User.objects.create_superuser(name or unique("user"))
    return PromptActor.from_user(user)


def rows_for(
    prompt_key: str,
    variant: str,
    number: int,
    *,
    at: datetime | None = None,
    users: int = 0,
    failed: int = 0,
    prefix: str = "",
    **fields: Any,
) -> list[Usage]:
    """`number` requests, the first `failed` of them failed, of `users` in turn."""
    at = at or timezone.now() - timedelta(hours=1)
    values: dict[str, Any] = {
        "customer_id": uuid7(),
        "model": "some-model",
        "endpoint": "chat",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost_usd": Decimal("0.002"),
        "latency_ms": 400,
        "epoch": 1,
        "source": "provider",
        "day": at.date(),
        "created_at": at,
        "prompt_key": prompt_key,
        "variant": variant,
        **fields,
    }
    made = []
    for index in range(number):
        who = f"{prefix or variant}-{index % (users or number)}"
        status = "error" if index < failed else "ok"
        row = Usage(id=uuid7(), user_id="backend", subject=digest(who), status=status)
        for name, value in values.items():
            setattr(row, name, value(index) if callable(value) else value)
        made.append(row)
    return Usage.objects.bulk_create(made)


def said_of(rows: list[Usage], score: float, **fields: Any) -> list[Feedback]:
    return Feedback.objects.bulk_create(
        Feedback(
            request_id=row.pk,
            customer_id=row.customer_id,
            user_id=row.user_id,
            score=score,
            prompt_key=row.prompt_key,
            prompt_version=row.prompt_version,
            variant=row.variant,
            subject=row.subject,
            requested_at=row.created_at,
            created_at=row.created_at,
            updated_at=row.created_at,
            **fields,
        )
        for row in rows
    )
