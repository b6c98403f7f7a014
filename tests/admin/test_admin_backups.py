"""Backups in the admin: what an auditor sees, and who may make or download one."""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import AsyncClient, Client
from django.utils import timezone
from kombu.exceptions import OperationalError

from tests.admin.rows import make_backup
from tests.fixtures_backups import BackupPlace
from valuecanvas.backups import creation, encryption, tasks
from valuecanvas.backups.admin import NO_WORKER
from valuecanvas.backups.history import DEAD
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.repository import BackupRepository, new_name
from valuecanvas.celery import app

LIST = "/admin/backups/backup/"
MAKE = "/admin/backups/backup/make/"


def page_of(row: Backup) -> str:
    return f"{LIST}{row.pk}/change/"


def text_of(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arguments of the tasks that were sent."""
    found: list[tuple[Any, ...]] = []
    for task in (tasks.make_backup, tasks.verify_backup):
        monkeypatch.setattr(task, "delay", lambda *given: found.append(given))
    return found


def test_list__no_backup__says_what_to_do(operator: Client) -> None:
    text = text_of(operator, LIST)
    assert "No verified backup" in text
    assert "Back up now" in text
    assert "There is none so far" in text


def test_list__a_fresh_one__shows_how_large_and_whether_verified(
    auditor: Client,
) -> None:
    make_backup()
    text = text_of(auditor, LIST)
    assert "Last verified backup" in text
    assert "2.2\u00a0MB" in text
    assert "1,234" in text
    assert "verified" in text
    assert "Back up now" not in text


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        (
            {"state": BackupState.FAILED, "verified": None, "error": "disk full"},
            "Failed",
        ),
        ({"verified": False}, "not usable"),
        ({"verified": None}, "not yet"),
        ({"state": BackupState.DELETED}, "Deleted"),
        (
            {"state": BackupState.RUNNING, "finished_at": None, "size": None},
            "Under way",
        ),
    ],
)
def test_list__other_states__are_told_apart(
    auditor: Client, fields: dict[str, Any], shown: str
) -> None:
    row = make_backup(**fields)
    assert shown in text_of(auditor, LIST)
    assert row.error in text_of(auditor, page_of(row))


@pytest.mark.parametrize(("hours", "ok"), [(25, True), (27, False)])
def test_dashboard__age_of_the_last_verified__warns_from_26_hours(
    auditor: Client, hours: int, ok: bool
) -> None:
    make_backup(started_at=timezone.now() - timedelta(hours=hours))
    assert ("A verified backup should be younger" in text_of(auditor, "/admin/")) != ok


def test_dashboard__without_the_right__does_not_tell(newcomer: Client) -> None:
    assert "verified backup" not in text_of(newcomer, "/admin/")


def test_make__operator__begins_one_and_it_is_in_the_audit_log(
    operator: Client, sent: list[Any]
) -> None:
    answer = operator.post(MAKE, follow=True)
    row = Backup.objects.get()
    assert sent == [(str(row.pk),)]
    assert (row.state, row.by) == (BackupState.RUNNING, "olga")
    text = answer.content.decode()
    assert "A backup has begun." in text
    assert "A backup is under way" in text
    assert "Back up now" not in text
    assert LogEntry.objects.filter(object_id=str(row.pk)).exists()


def test_make__sent_to_the_workers__is_in_the_queue_of_this_installation() -> None:
    connection: Any = app.connection_for_write()
    with connection, connection.channel() as channel:
        channel.queue_purge(app.conf.task_default_queue)
        # As a page is served: by a thread that knows no app of its own.
        with ThreadPoolExecutor(1) as threads:
            threads.submit(tasks.make_backup.delay, "some-backup").result()
        assert channel.queue_purge(app.conf.task_default_queue) == 1


def test_make__no_broker__is_told_and_leaves_no_row(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pk: str) -> None:
        raise OperationalError("refused")

    monkeypatch.setattr(tasks.make_backup, "delay", refuse)
    answer = operator.post(MAKE, follow=True)
    assert NO_WORKER in answer.content.decode()
    assert not Backup.objects.exists()


def test_list__one_whose_process_died__is_failed(operator: Client) -> None:
    row = make_backup(state=BackupState.RUNNING, step="Dump", verified=None)
    text = text_of(operator, LIST)
    row.refresh_from_db()
    assert (row.state, row.error) == (BackupState.FAILED, DEAD)
    assert "Back up now" in text


@pytest.mark.parametrize("path", ["make/", "{pk}/verify/", "{pk}/download/"])
def test_actions__without_the_right__are_forbidden(
    auditor: Client, sent: list[Any], path: str
) -> None:
    row = make_backup()
    url = LIST + path.format(pk=row.pk)
    act = auditor.get if "download" in path else auditor.post
    assert act(url).status_code == 403
    assert sent == []


def test_download__operator__needs_a_right_of_its_own(operator: Client) -> None:
    row = make_backup()
    assert operator.get(f"{LIST}{row.pk}/download/").status_code == 403
    assert "Download" not in text_of(operator, page_of(row))


@pytest.mark.parametrize("path", ["make/", "{pk}/verify/"])
def test_actions__by_a_get__lead_back_and_do_nothing(
    boss: Client, sent: list[Any], path: str
) -> None:
    row = make_backup()
    answer = boss.get(LIST + path.format(pk=row.pk))
    assert answer.status_code == 302
    assert sent == []


def test_verify__operator__begins_and_returns_to_the_page(
    operator: Client, sent: list[Any]
) -> None:
    row = make_backup(verified=None, steps=[])
    answer = operator.post(f"{LIST}{row.pk}/verify/", follow=True)
    assert sent == [(row.name, "olga")]
    assert "The result appears here." in answer.content.decode()


def test_page__of_a_stored_one__says_how_to_restore_it(auditor: Client) -> None:
    row = make_backup()
    text = text_of(auditor, page_of(row))
    assert f"manage.py restore {row.name} --replace" in text
    assert "Serve a request" in text


def test_download__of_one_that_is_gone__leads_back_with_the_reason(
    boss: Client, backup_place: BackupPlace
) -> None:
    row = make_backup()
    answer = boss.get(f"{LIST}{row.pk}/download/", follow=True)
    assert "There is no summary.json" in answer.content.decode()


async def test_download__with_the_right__is_a_tar_that_holds_the_backup(
    backup_place: BackupPlace, tmp_path: Path
) -> None:
    repository, name = BackupRepository(), new_name()
    summary = await sync_to_async(creation.create)(repository, name)
    client, row = await sync_to_async(_downloader)(name)
    answer: Any = await client.get(f"{LIST}{row.pk}/download/")
    raw = b"".join([piece async for piece in answer.streaming_content])
    logged = LogEntry.objects.filter(change_message="Downloaded.")
    assert await logged.aexists()
    # The thread of the ORM outlives this test.
    await sync_to_async(connections.close_all)()
    assert answer["Content-Disposition"] == f'attachment; filename="{name}.tar"'
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert {one.name for one in tar} == {
            f"{name}/{part}" for part in (*summary.files, "summary.json")
        }
        tar.extractall(tmp_path / "unpacked", filter="data")
    for part in (*summary.files, "summary.json"):
        unpacked = tmp_path / "unpacked" / name / part
        assert (
            unpacked.read_bytes() == (backup_place.storage / name / part).read_bytes()
        )
    raw_summary = (tmp_path / "unpacked" / name / "summary.json").read_bytes()
    assert encryption.unseal(raw_summary)["name"] == name


def _downloader(name: str) -> tuple[AsyncClient, Backup]:
    user = User.objects.create_user("dora", is_staff=True)
    rights = Permission.objects.filter(
        content_type__app_label="backups",
        codename__in=["view_backup", "download_backup"],
    )
    user.user_permissions.add(*rights)
    client = AsyncClient()
    client.force_login(user)
    return client, make_backup(name=name)
