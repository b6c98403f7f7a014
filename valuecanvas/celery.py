"""Celery: workers and the beat."""

import os
from typing import Any

from celery import Celery, Task

from valuecanvas.core.audit.audit_context import ActorKind, use_actor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "valuecanvas.settings")


class AuditedTask(Task):
    """What a task changes is done by the task, in the audit."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with use_actor(f"task {self.name}", ActorKind.TASK):
            return super().__call__(*args, **kwargs)


app = Celery("valuecanvas", task_cls=AuditedTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# By name: its module needs the models.
app.steps["worker"].add("llm.jobs.worker.worker_process:JobsStep")
app.autodiscover_tasks(["valuecanvas.core.audit", "valuecanvas.core.webhooks"])
