"""Celery: workers and the beat."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "valuecanvas.settings")
app = Celery("valuecanvas")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# By name: its module needs the models.
app.steps["worker"].add("llm.jobs.worker.worker_process:JobsStep")
app.autodiscover_tasks(["valuecanvas.core.webhooks"])
