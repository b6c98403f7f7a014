"""Senders in processes of their own, on committed rows."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction

from tests.core.webhooks.conftest import make_delivery, make_due
from tests.core.webhooks.receiver import Receiver
from tests.live.server import database_url
from valuecanvas.celery import app
from valuecanvas.core.webhooks import deliveries, tasks
from valuecanvas.core.webhooks.models import DeliveryState, WebhookDelivery
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True)
WORKER = [sys.executable, "-m", "celery", "-A", "valuecanvas", "worker"]
SETUP = "import django; django.setup()\n"
SEND = "from valuecanvas.core.webhooks.sender import send_due; send_due()"
QUEUE = "from valuecanvas.core.webhooks.outbox import queue; queue('c:a', '{}', 'a.b', {{}})"


def start_sender(code: str = SEND, **env: str) -> subprocess.Popen[bytes]:
    return start([sys.executable, "-c", SETUP + code], **env)


def start(command: list[str], **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "valuecanvas.settings",
            "DATABASE_URL": database_url(),
            **env,
        },
    )


def test_senders__two_at_once__send_each_webhook_once(receiver: Receiver) -> None:
    rows = {str(make_delivery(receiver.url, f"c:{n % 9}").pk) for n in range(60)}
    senders = [start_sender() for _ in range(2)]
    assert [one.wait() for one in senders] == [0, 0]
    assert sorted(one.id for one in receiver.received) == sorted(rows)
    assert {*WebhookDelivery.objects.values_list("state", flat=True)} == {"delivered"}


def test_claims__in_two_threads__are_disjoint_and_without_a_deadlock() -> None:
    for number in range(100):
        make_delivery("http://127.0.0.1/", f"c:{number}")
    start = threading.Barrier(2)
    found: list[object] = []

    def claim() -> None:
        start.wait()
        while rows := deliveries.claim_due(7):
            found.extend(one.pk for one in rows)
        connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    left = WebhookDelivery.objects.filter(attempts=0).count()
    assert len(found) == len(set(found)) == 100 - left
    assert {*WebhookDelivery.objects.values_list("attempts", flat=True)} <= {0, 1}


def test_sender__killed_between_send_and_commit__sends_again_with_the_same_id(
    receiver: Receiver,
) -> None:
    row = make_delivery(receiver.url)
    assert start_sender(VALUECANVAS_FAILPOINT="webhook_sent").wait() == -signal.SIGKILL
    row.refresh_from_db()
    assert (row.state, row.attempts, row.history) == (DeliveryState.WAITING, 1, [])
    # Until the lease ends it is nobody else's.
    assert start_sender().wait() == 0
    assert len(receiver.received) == 1
    make_due()
    assert start_sender().wait() == 0
    row.refresh_from_db()
    assert (row.state, row.attempts) == (DeliveryState.DELIVERED, 2)
    assert [one.id for one in receiver.received] == [str(row.pk)] * 2


# -- the message to a worker --------------------------------------------------


def messages() -> int:
    """How many messages wait in the queue; they are taken out."""
    connection: Any = app.connection_for_write()
    with connection, connection.channel() as channel:
        return int(channel.queue_purge(app.conf.task_default_queue) or 0)


def test_queue__many_in_one_transaction__tells_a_worker_once_after_it() -> None:
    messages()
    with transaction.atomic():
        for _ in range(5):
            make_delivery("http://127.0.0.1/")
        assert messages() == 0
    assert messages() == 1


def test_queue__transaction_is_rolled_back__leaves_nothing() -> None:
    messages()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_delivery("http://127.0.0.1/")
        raise ZeroDivisionError
    assert (messages(), WebhookDelivery.objects.count()) == (0, 0)


def test_queue__broker_is_away__is_kept_and_sent_by_the_schedule(
    receiver: Receiver,
) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    code = QUEUE.format(receiver.url)
    assert start_sender(code, CELERY_BROKER_URL=nowhere).wait() == 0
    [row] = WebhookDelivery.objects.all()
    [work] = tasks.PERIODIC
    app.loader.import_default_modules()
    assert app.tasks[work.task]() == 1
    row.refresh_from_db()
    assert row.state == DeliveryState.DELIVERED


def test_task__has_sent_something__has_a_worker_look_again(receiver: Receiver) -> None:
    make_delivery(receiver.url)
    messages()
    assert tasks.send_webhooks() == 1
    assert messages() == 1
    assert tasks.send_webhooks() == 0
    assert messages() == 0


def test_worker__told_by_a_message__sends_without_the_schedule(
    receiver: Receiver, tmp_path: Path
) -> None:
    messages()
    env = {"JOURNAL_DIR": str(tmp_path), "REDIS_PREFIX": settings.REDIS_PREFIX}
    with start(WORKER, **env) as worker:
        row = make_delivery(receiver.url)
        until = time.monotonic() + 120
        while not receiver.received and time.monotonic() < until:
            time.sleep(0.1)
        worker.terminate()
    assert [one.id for one in receiver.received] == [str(row.pk)]
    row.refresh_from_db()
    assert row.state == DeliveryState.DELIVERED
