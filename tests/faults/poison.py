"""The Celery application with jobs that kill their worker.

celery -A tests.faults.poison worker
"""

import os
import signal
from typing import Any

from celery.signals import worker_init

from valuecanvas.celery import app as app

MARK = "poison"
# A message that is not acknowledged comes again after this many seconds.
app.conf.broker_transport_options = {
    **app.conf.broker_transport_options,
    "visibility_timeout": 1,
}


@worker_init.connect
def _poison(**_: object) -> None:
    """Once the models are loaded."""
    from llm.jobs.worker import execution  # noqa: PLC0415 - needs the models

    make_call = execution.make_call

    def poisoned(attempt: execution.JobAttempt) -> Any:
        call = make_call(attempt)
        if MARK in str(call.body):
            os.kill(os.getpid(), signal.SIGKILL)
        return call

    execution.make_call = poisoned
