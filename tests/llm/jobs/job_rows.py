"""Jobs and batches as rows, without anybody who runs them."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from billing.models import Customer
from llm.jobs.owner import owner_of_customer
from llm.jobs.submission import NewJob, submit_job
from llm.jobs.types import JobCall
from llm.models import BatchState, Job, JobBatch
from tests.fixtures_billing import make_customer


def make_job(customer: Customer | None = None, **fields: Any) -> Job:
    """A job of the queue, changed to `fields` after its submission."""
    owner = owner_of_customer(customer or make_customer())
    url = fields.pop("callback_url", "")
    job = submit_job(owner, NewJob("completion", JobCall("chat", {}), callback_url=url))
    Job.objects.filter(pk=job.pk).update(**fields)
    return Job.objects.get(pk=job.pk)


def make_batch(customer: Customer | None = None, **fields: Any) -> JobBatch:
    now = timezone.now()
    values = {
        "endpoint": "chat",
        "state": BatchState.IN_PROGRESS,
        "created_at": now,
        "deadline": now + timedelta(days=1),
        **fields,
    }
    owner = owner_of_customer(customer or make_customer())
    return JobBatch.objects.create(**owner.columns(), **values)
