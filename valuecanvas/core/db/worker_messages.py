"""Messages that tell a worker of work in the database. Losing one loses nothing: workers
and schedules look for work by themselves.
"""

import atexit
import gc
import os
import threading
import time

import structlog
from celery import current_app
from django.apps import apps
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger("worker_messages")

Message = tuple[str, tuple[str, ...]]
# After a failure the broker is left alone this long, in seconds.
PAUSE_S = 5.0
# An older message says nothing that a schedule has not seen.
EXPIRES_S = 60
MOST_WAITING = 1000


class MessageThread:
    """Sends messages in a thread, so that nobody waits for a broker that is away.

    Equal messages that wait are sent once. The thread is started when first used, and
    again after a fork.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[Message, None] = {}
        self._sending = False
        self._pid = 0

    def send(self, message: Message) -> None:
        """Send it soon."""
        with self._condition:
            if self._pid != os.getpid():
                self._pid, self._sending = os.getpid(), False
                threading.Thread(
                    target=self._work, name="worker-messages", daemon=True
                ).start()
                atexit.register(self.flush)
            if len(self._waiting) < MOST_WAITING:
                self._waiting[message] = None
            self._condition.notify()

    def flush(self, within_s: float = 1.0) -> None:
        """Wait until all is sent, at the end of a process."""
        with self._condition:
            self._condition.wait_for(
                lambda: not (self._waiting or self._sending), timeout=within_s
            )

    def _work(self) -> None:
        while True:
            with self._condition:
                self._sending = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._waiting)
                messages, self._waiting = self._waiting, {}
                self._sending = True
            if not all(map(_send, messages)):
                # kombu leaves a descriptor in each failed connection's reference cycle.
                gc.collect(1)
                time.sleep(PAUSE_S)


def tell_worker(task: str, *args: str) -> None:
    """Have a worker run `task` once the open transaction is committed."""
    message = (task, args)
    queued = transaction.get_connection().run_on_commit
    # Once for a transaction that changes many rows.
    if not any(getattr(call, "message", None) == message for _, call, _ in queued):
        transaction.on_commit(_OnCommit(message))


class _OnCommit:
    """Called once the transaction is committed."""

    def __init__(self, message: Message) -> None:
        self.message = message

    def __call__(self) -> None:
        # Typed as any app's configuration, which has no thread.
        thread: MessageThread = apps.get_app_config("core").message_thread  # type: ignore[attr-defined]
        thread.send(self.message)


def _send(message: Message) -> bool:
    """Whether the broker took it."""
    task, args = message
    try:
        current_app.send_task(
            task, args=args, retry=False, ignore_result=True, expires=EXPIRES_S
        )
    except (OperationalError, OSError) as error:
        log.warning("message.lost", task=task, error=type(error).__name__)
        return False
    return True
