"""Jobs: calls that are made later, once each.

from llm.jobs import submit, status

job = submit(type="canvas_generation", user_id="user-123", prompt_key="canvas.generate",
             prompt_variables={"businessDescription": "SaaS platform"})
status(job.id).state
"""

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from billing.auth.customers import is_user_id
from billing.auth.key_facts import load_customers
from llm.jobs.owner import Owner
from llm.jobs.parsing import parse_job
from llm.jobs.submission import submit_job
from llm.models import Job
from valuecanvas.core.errors import InvalidRequest, NotFound, NotPermitted, Unavailable


def submit(
    *,
    type: str,
    user_id: str,
    team: str = "",
    prompt_key: str | None = None,
    prompt_variables: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    **options: Any,
) -> Job:
    """Submit a job for a user, who is billed. Blocks: not for an event loop.

    `options` are those of the REST API, as `runAt` and `tags`. What depends on the
    configuration, such as a model's name, is checked when the job runs. Raises
    InvalidRequest, NotPermitted (suspended), TooManyRequests or Unavailable.
    """
    given: dict[str, Any] = {"type": type, **options}
    if prompt_key is not None:
        given["promptKey"] = prompt_key
    if prompt_variables is not None:
        given["promptVariables"] = dict(prompt_variables)
    if body is not None:
        given["body"] = dict(body)
    return submit_job(_owner(user_id, team), parse_job(given, key=idempotency_key))


def status(job_id: uuid.UUID | str) -> Job:
    """The job as it is now. Raises NotFound."""
    try:
        job = Job.objects.filter(pk=job_id).first()
    except ValidationError:
        job = None
    if job is None:
        raise NotFound(f"There is no job {job_id}.", code="job_not_found")
    return job


def _owner(user_id: str, team: str) -> Owner:
    if not is_user_id(user_id):
        raise InvalidRequest("'user_id' must be a short text.", param="user_id")
    facts = load_customers([(team, user_id)]).get((team, user_id))
    if facts is None:
        raise Unavailable("New users cannot be added now: no tier is set for them.")
    if facts.suspended:
        raise NotPermitted("This customer is suspended.", code="customer_suspended")
    return Owner(facts.id, user_id, team)
